#include "runtime/exec/program_verifier.h"

#include <doctest/doctest.h>
#include <functional>

#include "onnx_import/import.h"
#include "tests/exec/cluster.h"
#include "tests/onnx_import/onnx_writer.h"

namespace {

using ft::BackwardOptions;
using ft::BackwardStep;
using ft::ForwardStep;
using ft::Location;
using ft::RangeProgram;
using ft::Region;

constexpr int64_t kRows = 4;

// x + f(relu(x)): the value that both read is overwritten by the sum in forward. What follows is
// read by a pool, whose result is read as it is and, last, as another shape, by a shared weight.
std::shared_ptr<const ft::Model> preactivation_model() {
  ft::OnnxWriter writer;
  writer.input("x", {-1, 1, 6, 6}).output("y");
  writer.weight("w1", {6, 1, 3, 3}).weight("w2", {6, 6, 3, 3}).weight("w3", {5, 216});
  writer.weight("w4", {5, 6});
  const ft::TestAttributes same = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  writer.node("Conv", {"x", "w1"}, {"v"}, same).node("Relu", {"v"}, {"r"});
  writer.node("Conv", {"r", "w2"}, {"c"}, same).node("Add", {"v", "c"}, {"s"});
  writer.node("Relu", {"s"}, {"t"}).node("GlobalAveragePool", {"t"}, {"g"});
  writer.node("Flatten", {"g"}, {"h"}).node("Gemm", {"h", "w4"}, {"a"}, {{"transB", int64_t{1}}});
  writer.node("Flatten", {"h"}, {"k"}).node("Mul", {"k", "k"}, {"q"});
  writer.node("Gemm", {"q", "w4"}, {"d"}, {{"transB", int64_t{1}}}).node("Add", {"a", "d"}, {"e"});
  writer.node("Flatten", {"t"}, {"f"}).node("Gemm", {"f", "w3"}, {"b"}, {{"transB", int64_t{1}}});
  writer.node("Add", {"e", "b"}, {"y"});
  ft::ImportOptions options;
  options.batch = kRows;
  auto model = ft::import_model(writer.bytes(), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return std::make_shared<const ft::Model>(std::move(*model));
}

struct Compiled {
  std::shared_ptr<const ft::Model> model;
  std::vector<ft::LayerLayout> layouts;
  ft::LayerRange range;
  BackwardOptions options;

  // A new one each time, to be spoiled.
  std::unique_ptr<RangeProgram> program() const {
    auto made = ft::compile_range(*model, range, layouts, ft::Mode::kTrain, options);
    REQUIRE(made.ok());
    return std::unique_ptr<RangeProgram>(const_cast<RangeProgram*>(made->release()));
  }
  bool is_proven(const RangeProgram& program) const {
    BackwardOptions as_compiled = options;
    as_compiled.steps_by_layer = program.steps_by_layer;
    return ft::verify_program(*model, layouts, program, as_compiled).ok();
  }
};

std::vector<Compiled> programs() {
  std::vector<Compiled> list;
  for (const auto& model :
       {preactivation_model(), ft::test::golden_model("branches_train_op14.onnx", kRows),
        ft::test::golden_model("mobilenetv2_short_train_op16.onnx", kRows),
        ft::test::golden_model("tied_train_op14.onnx", kRows)}) {
    std::vector<ft::LayerLayout> layouts;
    for (int layer = 0; layer < model->layer_count(); ++layer) {
      layouts.push_back(ft::layer_layout(*model, layer, {}));
    }
    const int half = model->layer_count() / 2;
    for (const ft::LayerRange range : {ft::LayerRange{0, model->layer_count()},
                                       {0, 1},
                                       {0, half},
                                       {half, model->layer_count()}}) {
      list.push_back({model, layouts, range, {}});
      list.push_back({model, layouts, range, {.one_in_flight = true, .steps_by_layer = true}});
      list.push_back({model, layouts, range, {.defers = true}});
    }
  }
  return list;
}

// Every place that a program reads or writes, but for workspaces, whose place nobody relies on.
std::vector<Location*> places(RangeProgram* program) {
  std::vector<Location*> list;
  const auto add = [&](std::vector<Location>* locations) {
    for (Location& location : *locations) {
      if (location.region != Region::kNone) list.push_back(&location);
    }
  };
  const auto add_forward = [&](ForwardStep* step) {
    add(&step->inputs);
    add(&step->outputs);
    if (step->stash.region != Region::kNone) list.push_back(&step->stash);
  };
  for (ForwardStep& step : program->forward) add_forward(&step);
  for (std::vector<BackwardStep>* steps : {&program->backward, &program->deferred}) {
    for (BackwardStep& step : *steps) {
      for (ForwardStep& again : step.recomputes) add_forward(&again);
      add(&step.grad_outputs);
      add(&step.grad_inputs);
      add(&step.inputs);
      add(&step.outputs);
      for (ft::CopyStep& copy : step.copies) list.insert(list.end(), {&copy.source, &copy.target});
      for (ft::AddStep& sum : step.additions) {
        list.insert(list.end(), {&sum.a, &sum.b, &sum.target});
      }
      for (ft::LayerGradient& gradient : step.finished) list.push_back(&gradient.location);
    }
  }
  return list;
}

}  // namespace

// All places of small programs, some hundred of large ones: each costs a compilation.
TEST_CASE("program verifier: reads and writes that are moved by a few bytes are found") {
  int spoiled = 0;
  for (const Compiled& compiled : programs()) {
    const auto count = places(compiled.program().get()).size();
    for (size_t i = 0; i < count; i += 1 + count / 200) {
      const auto program = compiled.program();
      places(program.get())[i]->offset += 4;
      const bool found = !compiled.is_proven(*program);
      CHECK_MESSAGE(found, "place " << i << " of " << count << " in layers " << compiled.range.first
                                    << " to " << compiled.range.last);
      spoiled += found ? 1 : 0;
    }
  }
  MESSAGE(spoiled << " spoiled programs were found");
}

TEST_CASE("program verifier: each step, recomputation and sum that is missing is found") {
  using Erase = std::function<bool(RangeProgram*, size_t)>;  // false: there is no such thing
  const auto in_steps = [](auto member) {
    return [member](RangeProgram* program, size_t index) {
      for (BackwardStep& step : program->backward) {
        auto& list = step.*member;
        if (index < list.size()) {
          list.erase(list.begin() + static_cast<long>(index));
          return true;
        }
        index -= list.size();
      }
      return false;
    };
  };
  const auto in_program = [](auto member) {
    return [member](RangeProgram* program, size_t index) {
      auto& list = program->*member;
      if (index >= list.size()) return false;
      list.erase(list.begin() + static_cast<long>(index));
      return true;
    };
  };
  const std::pair<const char*, Erase> kinds[] = {
      {"forward step", in_program(&RangeProgram::forward)},
      {"copy of an output", in_program(&RangeProgram::forward_copies)},
      {"backward step", in_program(&RangeProgram::backward)},
      {"deferred step", in_program(&RangeProgram::deferred)},
      {"recomputation", in_steps(&BackwardStep::recomputes)},
      {"copy", in_steps(&BackwardStep::copies)},
      {"sum", in_steps(&BackwardStep::additions)},
      {"finished layer", in_steps(&BackwardStep::finished)}};
  for (const auto& [name, erase] : kinds) {
    const std::string kind = name;
    CAPTURE(kind);
    int erased = 0;
    for (const Compiled& compiled : programs()) {
      for (size_t index = 0;; ++index) {
        const auto program = compiled.program();
        if (!erase(program.get(), index)) break;
        CHECK_MESSAGE(!compiled.is_proven(*program), kind << " " << index);
        ++erased;
      }
    }
    CHECK(erased > 0);
  }
}

// What was wrong once: the relu's output was made again from the place of its input, where the sum
// stood by then.
TEST_CASE("program verifier: a recomputation from what was overwritten is found") {
  Compiled compiled = programs().front();
  const auto program = compiled.program();
  const auto is_node = [&](int32_t node, const char* name) {
    return compiled.model->nodes[static_cast<size_t>(node)].name == name;
  };
  const ForwardStep* relu = nullptr;
  for (const ForwardStep& step : program->forward) {
    if (is_node(step.node, "r")) relu = &step;
  }
  BackwardStep* reader = nullptr;
  for (BackwardStep& step : program->backward) {
    if (step.kernel != nullptr && is_node(step.node, "c")) reader = &step;
  }
  REQUIRE(relu != nullptr);
  REQUIRE(reader != nullptr);
  REQUIRE(reader->recomputes.empty());
  CHECK(compiled.is_proven(*program));
  reader->recomputes = {*relu};
  CHECK(!compiled.is_proven(*program));
}

TEST_CASE("program verifier: a residual block of pre-activation trains alike wherever it is cut") {
  const auto model = preactivation_model();
  ft::TrainerOptions options;
  options.batch_size = kRows;
  std::vector<std::string> hashes;
  for (const std::vector<int>& cuts : {std::vector<int>{}, {1}, {2}, {1, 2}}) {
    ft::test::Cluster cluster(model, cuts, options, 1);
    for (int64_t batch = 0; batch < 3; ++batch) {
      const auto number = static_cast<uint64_t>(batch);
      cluster.train(batch, {ft::test::random_input(*model, number)},
                    {ft::test::random_labels(*model, number)});
    }
    hashes.push_back(cluster.hash(2));
    CHECK(hashes.back() == hashes.front());
  }
}
