// Where the batch is, and where its rows meet: what the tracker says against what numbers do.

#include "onnx_import/rows.h"

#include <algorithm>
#include <cmath>
#include <doctest/doctest.h>
#include <functional>
#include <map>

#include "onnx_import/import.h"
#include "tests/onnx_import/model_runner.h"
#include "tests/onnx_import/onnx_writer.h"
#include "tests/onnx_import/random_graph.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Result<Model> import_rows(const OnnxWriter& writer, int64_t batch, int64_t micro_batches = 1) {
  ImportOptions options;
  options.batch = batch;
  options.micro_batches = micro_batches;
  return import_model(writer.bytes(), options);
}

Model imported(const OnnxWriter& writer, int64_t batch, int64_t micro_batches = 1) {
  Result<Model> model = import_rows(writer, batch, micro_batches);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::move(*model);
}

std::string error_of(const OnnxWriter& writer, int64_t batch, int64_t micro_batches = 1) {
  const Result<Model> model = import_rows(writer, batch, micro_batches);
  return model.ok() ? "" : model.status().message();
}

// Distinct values of no pattern.
std::vector<float> samples(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i * i + 3 * i + 1));
  }
  return values;
}

// Whether another row's output moves when one row of the input does.
bool rows_meet(const Model& model) {
  const int64_t row = model.sample_shape.element_count();
  std::vector<float> input = samples(model.batch * row);
  const std::vector<float> before = run_model(model, input, Mode::kInfer);
  bool meets = false;
  for (int64_t moved = 0; moved < model.batch; ++moved) {
    std::vector<float> other = input;
    for (int64_t i = moved * row; i < (moved + 1) * row; ++i) {
      other[static_cast<size_t>(i)] += 0.25F + 0.125F * static_cast<float>(i % 5);
    }
    const std::vector<float> after = run_model(model, other, Mode::kInfer);
    for (int64_t r = 0; r < model.batch; ++r) {
      meets = meets || (r != moved &&
                        rows_of(before, model.batch, r, 1) != rows_of(after, model.batch, r, 1));
    }
  }
  return meets;
}

// A batch in parts gives what the whole gives.
void check_parts(const OnnxWriter& writer, int64_t batch, int64_t parts) {
  const Model whole = imported(writer, batch);
  const Model part = imported(writer, batch / parts, parts);
  CHECK(describe(whole, false) == describe(part, false));
  const std::vector<float> input = samples(batch * whole.sample_shape.element_count());
  const std::vector<float> expected = run_model(whole, input, Mode::kTrain, {.seed = 3});
  std::vector<float> got;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t first = i * part.batch;
    const std::vector<float> rows = run_model(part, rows_of(input, batch, first, part.batch),
                                              Mode::kTrain, {.seed = 3, .row_first = first});
    got.insert(got.end(), rows.begin(), rows.end());
  }
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]));
}

// ---- One small graph for each op, in which rows stay apart ----

struct OpGraph {
  Ints sample;
  std::vector<std::string> inputs;  // after x
  TestAttributes attributes;
};

void add_weights(OnnxWriter* writer) {
  writer->weight("row", {4}).weight("square", {4, 4}).weight("kernel", {2, 3, 1, 1});
  for (const char* name : {"scale", "shift", "mean", "var"}) writer->weight(name, {3});
  writer->constant("flat", {2}, Ints{0, -1}).constant("one", {1}, Ints{1});
}

OpGraph graph_of(const Op& op) {
  const std::string name = op.name;
  const Ints map = {3, 4, 4};
  switch (op.rows) {
    case RowRule::kElementwise:
      if (op.layout == LayoutRule::kElementwise && contains("Add Sub Mul Div", name)) {
        return {{3, 4}, {"row"}, {}};
      }
      return {{3, 4}, {}, {}};
    case RowRule::kView:
      if (name == "Reshape") return {{3, 4}, {"flat"}, {}};
      if (name == "Squeeze") return {{1, 4}, {}, {}};
      if (name == "Unsqueeze") return {{4}, {"one"}, {}};
      return {{3, 4}, {}, {}};
    case RowRule::kTranspose:
      return {{3, 4}, {}, {{"perm", Ints{0, 2, 1}}}};
    case RowRule::kAxis:
      return {{3, 4}, {}, {{"axis", int64_t{1}}}};
    case RowRule::kConcat:
      return {{3, 4}, {"x"}, {{"axis", int64_t{1}}}};
    case RowRule::kReduce:
      return {{3, 4}, {}, {{"axes", Ints{1}}}};
    case RowRule::kMatMul:
    case RowRule::kGemm:
      return {{4}, {"square"}, {}};
    case RowRule::kConvolution:
      return {map, {"kernel"}, {}};
    case RowRule::kPool:
      if (contains(name, "Global")) return {map, {}, {}};
      return {map, {}, {{"kernel_shape", Ints{2, 2}}}};
    case RowRule::kBatchNorm:
      return {map, {"scale", "shift", "mean", "var"}, {}};
    case RowRule::kInstanceNorm:
      return {map, {"scale", "shift"}, {}};
  }
  return {};
}

}  // namespace

TEST_CASE("rows: every op of the table has a rule that keeps rows apart where the op does") {
  for (const Op& op : op_table()) {
    CAPTURE(op.name);
    const OpGraph graph = graph_of(op);
    REQUIRE_FALSE(graph.sample.empty());
    OnnxWriter writer;
    Ints dims = graph.sample;
    dims.insert(dims.begin(), -1);
    writer.input("x", dims);
    add_weights(&writer);
    // A parameter in front, so that there is something to train.
    writer.weight("factor", {1}).node("Mul", {"x", "factor"}, {"s"});
    std::vector<std::string> inputs = {"s"};
    for (const std::string& name : graph.inputs) inputs.push_back(name == "x" ? "s" : name);
    writer.node(op.name, inputs, {"h"}, graph.attributes);
    writer.node("Flatten", {"h"}, {"y"}).output("y");
    for (const int64_t batch : {1, 2, 4}) {
      ImportOptions options;
      options.batch = batch;
      options.micro_batches = 2;
      options.roles.train = {"factor"};
      const Result<Model> made = import_model(writer.bytes(), options);
      REQUIRE_MESSAGE(made.ok(), made.status().message());
      const Model& model = *made;
      CHECK(model.rows_meet.empty());
      if (batch > 1) CHECK_FALSE(rows_meet(model));
    }
  }
}

TEST_CASE("rows: what the tracker says of random graphs is what their numbers do") {
  std::map<std::string, int> counts;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    CAPTURE(seed);
    const RandomGraph graph = random_graph(seed);
    const Result<Model> model = import_rows(graph.writer, kRandomGraphBatch);
    if (!model.ok()) {
      ++counts["refused"];
      continue;
    }
    const bool meets = rows_meet(*model);
    if (model->rows_meet.empty()) {
      // The promise: not a bit of another row moves.
      CHECK_FALSE(meets);
      ++counts["apart"];
      const Result<Model> two = import_rows(graph.writer, 2, 5);
      if (two.ok()) ++counts["apart in parts"];
    } else {
      ++counts[meets ? "meet" : "said to meet"];
      CHECK_FALSE(import_rows(graph.writer, kRandomGraphBatch, 2).ok());
      CHECK_FALSE(import_rows(graph.writer, 2).ok());
    }
  }
  for (const auto& [name, count] : counts) MESSAGE(name << ": " << count);
  CHECK(counts["apart"] > 300);
  CHECK(counts["meet"] > 300);
  // A rule that refuses too much would be safe and useless.
  CHECK(counts["said to meet"] < counts["meet"]);
  CHECK(counts["apart in parts"] > counts["apart"] / 2);
}

TEST_CASE("rows: parts of a batch of random graphs give what the whole gives") {
  int compared = 0;
  for (uint64_t seed = 5000; seed < 6000; ++seed) {
    const RandomGraph graph = random_graph(seed);
    const Result<Model> whole = import_rows(graph.writer, kRandomGraphBatch);
    if (!whole.ok() || !whole->rows_meet.empty() || !import_rows(graph.writer, 1, 5).ok()) continue;
    CAPTURE(seed);
    check_parts(graph.writer, kRandomGraphBatch, 5);
    ++compared;
  }
  CHECK(compared > 50);
}

TEST_CASE("rows: sequences first, and batch and time merged, train in parts") {
  for (const int64_t file_batch : {-1, 6, 1}) {
    OnnxWriter first;
    first.input("x", {file_batch, 3, 6}).weight("w", {6, 5});
    first.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{1, 0, 2}}});
    first.node("MatMul", {"t", "w"}, {"q"});
    first.node("ReduceMean", {"q"}, {"y"}, {{"axes", Ints{0}}, {"keepdims", int64_t{0}}});
    check_parts(first.output("y"), 6, 3);
    check_parts(first, 6, 6);

    OnnxWriter merged;
    const int64_t rows = std::max<int64_t>(file_batch, 1);
    merged.input("x", {file_batch, 3, 6}).weight("w", {6, 5});
    merged.constant("merge", {2}, Ints{file_batch < 0 ? -1 : rows * 3, 6});
    merged.constant("split", {2}, Ints{file_batch < 0 ? -1 : rows, 15});
    merged.node("Reshape", {"x", "merge"}, {"a"}).node("Gemm", {"a", "w"}, {"c"});
    merged.node("Reshape", {"c", "split"}, {"y"});
    check_parts(merged.output("y"), 6, 3);
    check_parts(merged, 6, 6);
  }
}

TEST_CASE("rows: heads of an attention are split from a sequence first, in a file of any batch") {
  for (const int64_t file_batch : {6, 1}) {
    OnnxWriter writer;
    writer.input("x", {file_batch, 3, 8}).weight("w", {4, 4}).weight("v", {8, 2});
    writer.constant("heads", {3}, Ints{3, file_batch * 2, 4});
    writer.constant("joined", {3}, Ints{3, file_batch, 8});
    writer.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{1, 0, 2}}});
    writer.node("Reshape", {"t", "heads"}, {"h"});
    writer.node("Transpose", {"h"}, {"p"}, {{"perm", Ints{1, 0, 2}}});
    writer.node("MatMul", {"p", "w"}, {"m"}).node("Softmax", {"m"}, {"s"}, {{"axis", int64_t{1}}});
    writer.node("Transpose", {"s"}, {"q"}, {{"perm", Ints{1, 0, 2}}});
    writer.node("Reshape", {"q", "joined"}, {"j"}).node("MatMul", {"j", "v"}, {"o"});
    writer.node("ReduceMean", {"o"}, {"y"}, {{"axes", Ints{0}}, {"keepdims", int64_t{0}}});
    check_parts(writer.output("y"), 6, 3);
    check_parts(writer, 6, 6);
  }
}

TEST_CASE("rows: a dropout's mask belongs to the sample, wherever the batch is") {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 6}).weight("w", {6, 5});
  writer.initializer(float_tensor("ratio", {}, {0.5F})).initializer(int_tensor("on", {}, {1}));
  writer.node("Transpose", {"x"}, {"t"}, {{"perm", Ints{1, 0, 2}}});
  writer.node("MatMul", {"t", "w"}, {"q"}).node("Dropout", {"q", "ratio", "on"}, {"d"});
  writer.constant("merge", {2}, Ints{-1, 5}).node("Reshape", {"d", "merge"}, {"m"});
  writer.node("Dropout", {"m", "ratio", "on"}, {"e"});
  writer.constant("split", {3}, Ints{3, -1, 5}).node("Reshape", {"e", "split"}, {"s"});
  writer.node("ReduceMean", {"s"}, {"y"}, {{"axes", Ints{0}}, {"keepdims", int64_t{0}}});
  check_parts(writer.output("y"), 6, 3);
  check_parts(writer, 6, 6);
}

TEST_CASE("rows: where they meet, only whole batches are computed, and it is said") {
  OnnxWriter open;
  open.input("x", {-1, 6}).weight("w", {6, 4}).node("MatMul", {"x", "w"}, {"h"});
  open.node("ReduceMean", {"h"}, {"m"}, {{"axes", Ints{0}}}).node("Sub", {"h", "m"}, {"y"});
  open.output("y");
  const Model whole = imported(open, 4);
  CHECK(rows_meet(whole));
  CHECK(whole.rows_meet == "node 'm' (ReduceMean) takes the mean over the rows of a batch");
  REQUIRE(whole.notes.size() == 2);  // the first says what trains
  CHECK(contains(whole.notes[1], "every sample's result depends on the others of its batch"));
  CHECK(error_of(open, 2, 2) ==
        "node 'm' (ReduceMean) takes the mean over the rows of a batch: every sample's result "
        "depends on the others of its batch, and micro-batches would change it: use "
        "--micro-batches 1");
  CHECK(error_of(open, 1, 4) == error_of(open, 2, 2));

  OnnxWriter fixed;
  fixed.input("x", {8, 6}).weight("w", {6, 4}).node("MatMul", {"x", "w"}, {"h"});
  fixed.node("Softmax", {"h"}, {"y"}, {{"axis", int64_t{0}}}).output("y");
  CHECK_FALSE(imported(fixed, 8).rows_meet.empty());
  CHECK(contains(error_of(fixed, 16), "use --batch-size 8, or export again with a batch of 16"));
  CHECK(contains(error_of(fixed, 4, 2), "use --micro-batches 1 --batch-size 8"));
}

TEST_CASE("rows: a value for each row of the file's batch is a meeting") {
  OnnxWriter table;
  table.input("x", {8, 6}).weight("w", {6, 4}).weight("table", {8, 4});
  table.node("MatMul", {"x", "w"}, {"h"}).node("Add", {"h", "table"}, {"y"}).output("y");
  CHECK(imported(table, 8).rows_meet ==
        "node 'y' (Add) has values of its own for each row of the batch ('table')");
  CHECK(contains(error_of(table, 4, 2), "--batch-size 8 --micro-batches 1"));
  // The same row eight times says nothing of a row, but fits its batch alone.
  OnnxWriter equal;
  equal.input("x", {8, 6}).weight("w", {6, 4}).constant("zeros", {8, 4}, std::vector<float>(32));
  equal.node("MatMul", {"x", "w"}, {"h"}).node("Add", {"h", "zeros"}, {"y"}).output("y");
  CHECK(imported(equal, 8, 4).rows_meet.empty());
}

TEST_CASE("rows: what is computed with the number of rows is a meeting") {
  OnnxWriter count;
  count.input("x", {-1, 6}).weight("w", {6, 4}).node("MatMul", {"x", "w"}, {"h"});
  count.constant("zero", {}, Ints{0}).node("Shape", {"h"}, {"shape"});
  count.node("Gather", {"shape", "zero"}, {"n"}).node("Cast", {"n"}, {"f"}, {{"to", int64_t{1}}});
  count.node("Div", {"h", "f"}, {"y"}).output("y");
  CHECK(contains(imported(count, 4).rows_meet, "computes with the number of rows"));
  CHECK_FALSE(import_rows(count, 2, 2).ok());
  // A position in the batch is one, too.
  OnnxWriter position;
  position.input("x", {-1, 6}).weight("w", {6, 4}).node("MatMul", {"x", "w"}, {"h"});
  position.constant("zero", {}, Ints{0})
      .constant("one", {}, Ints{1})
      .constant("axis", {1}, Ints{1});
  position.node("Shape", {"h"}, {"shape"}).node("Gather", {"shape", "zero"}, {"n"});
  position.node("Range", {"zero", "n", "one"}, {"r"});
  position.node("Cast", {"r"}, {"f"}, {{"to", int64_t{1}}});
  position.node("Unsqueeze", {"f", "axis"}, {"c"}).node("Add", {"h", "c"}, {"y"}).output("y");
  CHECK(contains(imported(position, 4).rows_meet, "values of its own for each row"));
}

TEST_CASE("rows: a reshape across rows, a concat onto them, a product of all with all") {
  const auto met = [](const std::function<void(OnnxWriter*)>& add) {
    OnnxWriter writer;
    writer.input("x", {4, 6}).weight("w", {6, 6}).node("MatMul", {"x", "w"}, {"h"});
    add(&writer);
    writer.output("y");
    const Model model = imported(writer, 4);
    CHECK(rows_meet(model));
    CHECK_FALSE(import_rows(writer, 2, 2).ok());
    CHECK_FALSE(import_rows(writer, 8).ok());
    return model.rows_meet;
  };
  CHECK(met([](OnnxWriter* w) {
          w->constant("across", {2}, Ints{6, 4}).constant("back", {2}, Ints{4, 6});
          w->node("Reshape", {"h", "across"}, {"a"}).node("Softmax", {"a"}, {"s"});
          w->node("Reshape", {"s", "back"}, {"y"});
        }) == "node 'a' (Reshape) reshapes across the rows of a batch");
  CHECK(met([](OnnxWriter* w) {
          w->node("Transpose", {"h"}, {"t"}).node("MatMul", {"h", "t"}, {"y"});
        }) == "node 'y' (MatMul) multiplies every row of a batch with every other");
}

TEST_CASE("rows: two batches side by side are still row by row") {
  OnnxWriter writer;
  writer.input("x", {-1, 6}).weight("w", {6, 4}).weight("v", {8, 3});
  writer.node("Concat", {"x", "x"}, {"both"}, {{"axis", int64_t{0}}});
  writer.node("MatMul", {"both", "w"}, {"h"}).constant("apart", {3}, Ints{2, -1, 4});
  writer.node("Reshape", {"h", "apart"}, {"a"});
  writer.node("Transpose", {"a"}, {"t"}, {{"perm", Ints{1, 0, 2}}}).node("Flatten", {"t"}, {"f"});
  writer.node("MatMul", {"f", "v"}, {"y"}).output("y");
  check_parts(writer, 6, 3);
}

TEST_CASE("rows: a squeeze without axes never takes the batch") {
  OnnxWriter writer;
  writer.input("x", {-1, 3, 4, 4}).weight("k", {5, 3, 1, 1}).node("Conv", {"x", "k"}, {"c"});
  writer.node("GlobalAveragePool", {"c"}, {"g"}).node("Squeeze", {"g"}, {"h"});
  writer.weight("w", {5, 2}).node("Gemm", {"h", "w"}, {"y"}).output("y");
  check_parts(writer, 4, 4);
  CHECK(imported(writer, 1).value(imported(writer, 1).output).type.shape == Shape{1, 2});
}

TEST_CASE("rows: an instance norm that is written as a batch norm of one sample is one again") {
  OnnxWriter writer;
  writer.input("x", {1, 3, 4, 4}).weight("k", {4, 3, 1, 1}).node("Conv", {"x", "k"}, {"c"});
  writer.constant("one", {4}, Ints{1, 4, 4, 4});
  for (const char* name : {"scale", "bias", "mean", "var"}) writer.weight(name, {4});
  writer.node("Reshape", {"c", "one"}, {"q"});
  writer.node("BatchNormalization", {"q", "scale", "bias", "mean", "var"}, {"n", "m2", "v2"},
              {{"training_mode", int64_t{1}}, {"epsilon", 1e-3F}});
  writer.node("Reshape", {"n", "one"}, {"r"}).weight("w", {64, 2}).node("Flatten", {"r"}, {"f"});
  writer.node("Gemm", {"f", "w"}, {"y"}).output("y");
  const Model model = imported(writer, 6);
  CHECK(count_ops(model, "InstanceNormalization") == 1);
  CHECK(count_ops(model, "BatchNormalization") == 0);
  CHECK(find_value(model, "mean") == kNoValue);
  CHECK(model.value(find_value(model, "scale")).kind == ValueKind::kParameter);
  check_parts(writer, 6, 3);
  check_parts(writer, 6, 6);
}

TEST_CASE("rows: an output whose rows are not the samples' is refused with what to do") {
  OnnxWriter moved;
  moved.input("x", {-1, 6}).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"h"});
  moved.node("Transpose", {"h"}, {"y"}, {{"perm", Ints{1, 0}}}).output("y");
  for (const int64_t batch : {3, 6, 1}) {
    CHECK(contains(error_of(moved, batch), "has the batch on axis 1: transpose it"));
  }
  OnnxWriter merged;
  merged.input("x", {-1, 3, 6}).weight("w", {6, 5}).constant("merge", {2}, Ints{-1, 6});
  merged.node("Reshape", {"x", "merge"}, {"a"}).node("Gemm", {"a", "w"}, {"y"}).output("y");
  CHECK(contains(error_of(merged, 4),
                 "output 'y' of shape 12x5 has 3 rows for each of 4 samples: reshape it"));
  OnnxWriter mean;
  mean.input("x", {-1, 6}).weight("w", {6, 6}).node("Gemm", {"x", "w"}, {"h"});
  mean.node("ReduceMean", {"h"}, {"y"}, {{"axes", Ints{0}}}).output("y");
  CHECK(contains(error_of(mean, 3),
                 "node 'y' (ReduceMean) takes the mean over the rows of a batch, "
                 "and the model's output 'y' of shape 1x6 has no row"));
}

}  // namespace ft
