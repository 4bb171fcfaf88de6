#include "tests/graph_fuzz/case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <malloc.h>
#include <set>

#include "onnx_import/import.h"
#include "tests/graph_fuzz/dice.h"
#include "tests/graph_fuzz/judge.h"
#include "tests/graph_fuzz/pipeline.h"
#include "tests/graph_fuzz/plans.h"

namespace ft::fuzz {
namespace {

// A slope that jumps nearer than this to a value may be met on the other side in float32.
constexpr double kJumpDistance = 1e-4;
constexpr uint64_t kAttempts = 8;
// Of a tensor's largest element, and of the largest of all tensors.
constexpr double kTolerance = 1e-4;
constexpr double kToleranceOfAll = 1e-5;
constexpr double kNoiseFactor = 16;
constexpr uint64_t kNoises = 4;
constexpr int kBatches = 3;
constexpr int64_t kAsyncBatches = 5;
constexpr int kCuts = 3;  // ways to cut that are tried
// The largest element of the first gradients moves a weight by about this much, or less.
constexpr double kMove = 0.002;
constexpr double kLearningRateMax = 0.05;
// What trains well in the first batch may still run away in a steep graph: there is nothing to
// compare then.
constexpr double kRunaway = 1e6;

// What the judge says of the first batch.
struct Truth {
  double loss = 0;
  double kink = 0;
  Values grads;       // by leaf, of all micro-batches
  Values statistics;  // after the batch
};

bool is_of_weight(const Graph& graph, const std::string& name) {
  const Leaf* leaf = graph.leaf(name);
  return leaf != nullptr && leaf->kind == LeafKind::kWeight;
}

class Case {
 public:
  Case(const Graph& graph, const CaseOptions& options, Counts* counts)
      : graph_(graph), needed_(pruned(graph)), options_(options), counts_(*counts) {
    Dice dice(options.seed, Stream::kRuns);
    micro_batches_ = static_cast<int>(dice.of<int64_t>({1, 1, 2, 4}));
    trainer_.loss = graph.loss;
    trainer_.seed = dice.bits();
    trainer_.batches_per_epoch = dice.between(1, 3);
    trainer_.optimizer.nesterov = dice.chance(30);
  }

  Verdict run() {
    count_nodes();
    Verdict verdict = import();
    if (!verdict.failed()) verdict = draw_data();
    if (!verdict.failed()) verdict = train_whole();
    if (has_run_away_) {
      ++counts_.diverged;
      return verdict;
    }
    if (!verdict.failed()) verdict = check_evaluation();
    if (!verdict.failed()) verdict = check_cuts();
    if (!verdict.failed()) verdict = check_async();
    return verdict;
  }

 private:
  void count_nodes();
  Verdict import();
  Verdict draw_data();
  Verdict train_whole();
  Verdict check_first_batch(const std::vector<ConstBufferPtr>& snapshots);
  Verdict check_gradients(const std::map<std::string, const float*>& gradients);
  Verdict check_trained();
  Verdict check_evaluation();
  Verdict check_cuts();
  Verdict check_async();
  Result<std::unique_ptr<Pipeline>> train(const RunPlan& plan, const std::vector<Samples>& batches);
  Verdict compare(const Pipeline& one, const Pipeline& other, const RunPlan& plan,
                  const char* kind) const;

  Truth judge(uint64_t noise) const;
  Setting setting(int64_t batch, int micro, bool trains, uint64_t noise) const;
  Samples samples(int64_t batch, int micro_batches) const;
  std::vector<double> targets(uint64_t number) const;
  // Of the product's state: slot 0 is the weights, 1 the optimizer's velocity; statistics have 0.
  std::map<std::string, const float*> state(const std::vector<ConstBufferPtr>& snapshots,
                                            int64_t slot) const;

  const Graph& graph_;
  const Graph needed_;
  const CaseOptions options_;
  Counts& counts_;
  int micro_batches_ = 1;
  TrainerOptions trainer_;
  std::shared_ptr<const Model> model_;
  std::map<std::string, uint32_t> numbers_;
  uint64_t attempt_ = 0;
  Values leaves_;
  Truth truth_;
  std::unique_ptr<Pipeline> whole_;
  bool has_run_away_ = false;
  std::vector<Samples> batches_;
};

void Case::count_nodes() {
  const auto ops = op_table();
  for (const GraphNode& node : needed_.nodes) {
    ++counts_.nodes;
    for (size_t i = 0; i < ops.size(); ++i) counts_.drawn[i] += node.op == ops[i].name;
  }
}

Result<Model> import_graph(const Graph& graph, const Values& leaves, int64_t rows) {
  ImportOptions options;
  options.batch = rows;
  options.cross_entropy = graph.loss == LossKind::kCrossEntropy;
  return import_model(to_onnx(graph, leaves), options);
}

// The graph for its own rows; and for others, with which it must be the same but for shapes.
Verdict Case::import() {
  leaves_ = draw_leaves(graph_, options_.seed, 0);
  Result<Model> model = import_graph(graph_, leaves_, graph_.rows);
  if (!model.ok()) return {"import", model.status().message()};
  const Result<Model> other = import_graph(graph_, leaves_, graph_.rows + 1);
  if (!other.ok()) return {"import for another batch", other.status().message()};
  if (describe(*model, false) != describe(*other, false)) {
    return {"import for another batch", "nodes, values or layers differ"};
  }
  model_ = std::make_shared<Model>(std::move(*model));
  for (size_t i = 0; i < model_->nodes.size(); ++i) {
    numbers_[model_->nodes[i].name] = static_cast<uint32_t>(i);
  }
  return {};
}

Setting Case::setting(int64_t batch, int micro, bool trains, uint64_t noise) const {
  Setting setting;
  setting.moment.trains = trains;
  setting.moment.seed = trainer_.seed;
  setting.moment.epoch = batch / trainer_.batches_per_epoch;
  setting.moment.batch = batch;
  setting.moment.row_first = micro * graph_.rows;
  setting.numbers = numbers_;
  setting.noise = {noise};
  setting.planted = options_.planted;
  return setting;
}

std::vector<double> Case::targets(uint64_t number) const {
  const int64_t count = model_->value(model_->output).type.shape.element_count();
  Dice dice(options_.seed, Stream::kValues, (uint64_t{1} << 63) + number);
  std::vector<double> list;
  if (graph_.loss == LossKind::kCrossEntropy) {
    for (int64_t row = 0; row < graph_.rows; ++row) {
      list.push_back(static_cast<double>(dice.below(count / graph_.rows)));
    }
    return list;
  }
  for (int64_t i = 0; i < count; ++i) list.push_back(static_cast<double>(dice.uniform(-1, 1)));
  return list;
}

uint64_t sample_number(int64_t batch, int micro) {
  return static_cast<uint64_t>(batch) * 8 + static_cast<uint64_t>(micro);
}

ConstBufferPtr floats_buffer(const std::vector<double>& values) {
  const BufferPtr buffer = make_buffer(values.size() * 4);
  for (size_t i = 0; i < values.size(); ++i) buffer->floats()[i] = static_cast<float>(values[i]);
  return buffer;
}

Samples Case::samples(int64_t batch, int micro_batches) const {
  Samples samples;
  for (int micro = 0; micro < micro_batches; ++micro) {
    const uint64_t number = sample_number(batch, micro);
    const Array input = draw_input(graph_, options_.seed, attempt_, number);
    samples.inputs.push_back(floats_buffer(input.at));
    const std::vector<double> wanted = targets(number);
    if (graph_.loss != LossKind::kCrossEntropy) {
      samples.labels.push_back(floats_buffer(wanted));
      continue;
    }
    const BufferPtr labels = make_buffer(wanted.size() * 8);
    auto* const numbers = reinterpret_cast<int64_t*>(labels->data());
    for (size_t i = 0; i < wanted.size(); ++i) numbers[i] = static_cast<int64_t>(wanted[i]);
    samples.labels.push_back(labels);
  }
  return samples;
}

// Micro-batch after micro-batch, as `sync` defines it.
Truth Case::judge(uint64_t noise) const {
  Truth truth;
  truth.kink = std::numeric_limits<double>::infinity();
  Values leaves = leaves_;
  const double scale = 1.0 / static_cast<double>(graph_.rows * micro_batches_);
  for (int micro = 0; micro < micro_batches_; ++micro) {
    const uint64_t number = sample_number(0, micro);
    const Setting now = setting(0, micro, true, noise);
    const Evaluation result =
        evaluate(needed_, leaves, draw_input(graph_, options_.seed, attempt_, number), now);
    const Loss loss =
        loss_of(graph_.loss, result.values.at(graph_.output), targets(number), scale, {noise});
    truth.loss += loss.sum;
    truth.kink = std::min(truth.kink, result.kink);
    for (auto& [name, grad] : gradients(needed_, result, loss.grad, now)) {
      const auto [entry, is_new] = truth.grads.try_emplace(name, grad);
      for (size_t i = 0; !is_new && i < grad.at.size(); ++i) entry->second.at[i] += grad.at[i];
    }
    for (const auto& [name, value] : result.next_statistics) leaves[name] = value;
    truth.statistics = leaves;
  }
  return truth;
}

// Values that stay clear of jumps, the last ones drawn if none do.
Verdict Case::draw_data() {
  for (attempt_ = 0;; ++attempt_) {
    leaves_ = draw_leaves(graph_, options_.seed, attempt_);
    truth_ = judge(0);
    if (truth_.kink >= kJumpDistance || attempt_ + 1 == kAttempts) break;
  }
  if (attempt_ > 0) {
    Result<Model> model = import_graph(graph_, leaves_, graph_.rows);
    if (!model.ok()) return {"import", model.status().message()};
    model_ = std::make_shared<Model>(std::move(*model));
  }
  double most = kMove / kLearningRateMax;
  for (const auto& [name, grad] : truth_.grads) {
    if (is_of_weight(graph_, name)) most = std::max(most, largest(grad));
  }
  trainer_.optimizer.learning_rate = static_cast<float>(kMove / most);
  trainer_.optimizer.momentum = 0.9F;
  for (int batch = 0; batch < kBatches; ++batch) {
    batches_.push_back(samples(batch, micro_batches_));
  }
  return {};
}

Result<std::unique_ptr<Pipeline>> Case::train(const RunPlan& plan,
                                              const std::vector<Samples>& batches) {
  ++counts_.runs;
  FT_ASSIGN_OR_RETURN(std::unique_ptr<Pipeline> pipeline, Pipeline::create(model_, trainer_, plan));
  FT_RETURN_IF_ERROR(pipeline->train(batches));
  return pipeline;
}

std::map<std::string, const float*> Case::state(const std::vector<ConstBufferPtr>& snapshots,
                                                int64_t slot) const {
  std::map<std::string, const float*> list;
  for (int index = 0; index < model_->layer_count(); ++index) {
    const Layer& layer = model_->layers[static_cast<size_t>(index)];
    const LayerLayout layout = layer_layout(*model_, index, trainer_.optimizer);
    const float* const first = snapshots[static_cast<size_t>(index)]->floats();
    for (size_t i = 0; i < layer.parameters.size(); ++i) {
      list[model_->value(layer.parameters[i]).name] =
          first + slot * layout.parameter_count + layout.parameter_offsets[i];
    }
    for (size_t i = 0; slot == 0 && i < layer.statistics.size(); ++i) {
      list[model_->value(layer.statistics[i]).name] =
          first + layout.parameter_bytes() / 4 + layout.statistic_offsets[i];
    }
  }
  return list;
}

// Weights that must train: all that the loss depends on. Whether a factor right behind the samples,
// or one number, is a weight or part of how samples are prepared, is another question.
Verdict Case::check_trained() {
  std::set<std::string> parameters;
  for (const Value& value : model_->values) {
    if (value.kind == ValueKind::kParameter) parameters.insert(value.name);
  }
  for (const Leaf& leaf : needed_.leaves) {
    if (leaf.kind != LeafKind::kWeight || parameters.count(leaf.name) != 0) continue;
    const bool prepares =
        std::any_of(needed_.nodes.begin(), needed_.nodes.end(), [&](const GraphNode& node) {
          return std::count(node.inputs.begin(), node.inputs.end(), leaf.name) != 0 &&
                 std::count(node.inputs.begin(), node.inputs.end(), graph_.input().name) != 0 &&
                 node.op != "Conv" && node.op != "Gemm" && node.op != "MatMul" &&
                 node.op != "BatchNormalization";
        });
    if (!prepares) return {"import", "weight '" + leaf.name + "' is not trained"};
  }
  return {};
}

std::string readers(const Graph& graph, const std::string& name) {
  std::string list;
  for (const GraphNode& node : graph.nodes) {
    if (std::count(node.inputs.begin(), node.inputs.end(), name) != 0)
      list += " " + node.outputs[0];
  }
  return list;
}

double difference(const float* found, const Array& right) {
  double most = 0;
  for (size_t i = 0; i < right.at.size(); ++i) {
    const double distance = std::abs(static_cast<double>(found[i]) - right.at[i]);
    most = std::isfinite(distance) ? std::max(most, distance)
                                   : std::numeric_limits<double>::infinity();
  }
  return most;
}

Verdict Case::check_gradients(const std::map<std::string, const float*>& found) {
  double most = 0;
  for (const auto& [name, grad] : truth_.grads) most = std::max(most, largest(grad));
  std::vector<Truth> noisy;
  for (const auto& [name, data] : found) {
    const Array& right = truth_.grads.at(name);
    ++counts_.tensors;
    const double off = difference(data, right);
    const double allowed = kTolerance * largest(right) + kToleranceOfAll * most;
    if (off <= allowed) continue;
    // How far may float32's own errors have moved it?
    while (noisy.size() < kNoises) noisy.push_back(judge(noisy.size() + 1));
    double spread = 0;
    for (const Truth& other : noisy) {
      const Array& moved = other.grads.at(name);
      for (size_t i = 0; i < right.at.size(); ++i) {
        spread = std::max(spread, std::abs(moved.at[i] - right.at[i]));
      }
    }
    if (off <= allowed + kNoiseFactor * spread) {
      ++counts_.too_sharp;
      continue;
    }
    return {"gradient",
            format("of '%s' (read by%s) is off by %g where the largest element is %g "
                   "(float32's errors: %g)",
                   name.c_str(), readers(needed_, name).c_str(), off, largest(right), spread)};
  }
  return {};
}

Verdict Case::check_first_batch(const std::vector<ConstBufferPtr>& snapshots) {
  const double loss = whole_->losses()[0];
  if (std::abs(loss - truth_.loss) > 1e-4 * (std::abs(truth_.loss) + 1)) {
    return {"loss", format("is %g, should be %g", loss, truth_.loss)};
  }
  for (const auto& [name, data] : state(snapshots, 0)) {
    const auto right = truth_.statistics.find(name);
    const Leaf* leaf = graph_.leaf(name);
    if (leaf == nullptr || leaf->kind != LeafKind::kStatistic) continue;
    const double off = difference(data, right->second);
    if (off > 1e-4 * (largest(right->second) + 1)) {
      return {"statistic", format("'%s' is off by %g", name.c_str(), off)};
    }
  }
  Verdict verdict = check_trained();
  if (verdict.failed()) return verdict;
  if (truth_.kink < kJumpDistance) {
    ++counts_.near_a_jump;
    return {};
  }
  // The velocity after the first step is the gradient itself.
  verdict = check_gradients(state(snapshots, 1));
  const auto ops = op_table();
  for (const GraphNode& node : needed_.nodes) {
    for (size_t i = 0; i < ops.size(); ++i) counts_.compared[i] += node.op == ops[i].name;
  }
  return verdict;
}

// Uncut, one thread, nothing deferred: what all others are compared with.
Verdict Case::train_whole() {
  mallopt(M_PERTURB, 0x80);  // fresh memory holds huge numbers, nobody may count on zeros
  RunPlan plan;
  plan.stations = {{.range = {0, model_->layer_count()}}};
  plan.micro_batches = micro_batches_;
  Result<std::unique_ptr<Pipeline>> made = train(plan, {batches_[0]});
  if (!made.ok()) return {"training", made.status().message()};
  whole_ = std::move(*made);
  const Verdict verdict = check_first_batch(whole_->snapshots());
  if (verdict.failed()) return verdict;
  const Status status = whole_->train({batches_.begin() + 1, batches_.end()});
  const double bound = kRunaway * (1 + truth_.loss);
  const std::vector<double>& losses = whole_->losses();
  has_run_away_ = !status.ok() || std::any_of(losses.begin(), losses.end(),
                                              [=](double loss) { return !(loss <= bound); });
  return {};
}

// Inference with the trained weights, as the product has them.
Verdict Case::check_evaluation() {
  const std::vector<ConstBufferPtr> snapshots = whole_->snapshots();
  const auto trained = state(snapshots, 0);
  Values leaves = leaves_;
  for (auto& [name, value] : leaves) {
    const auto found = trained.find(name);
    if (found == trained.end()) continue;
    for (size_t i = 0; i < value.at.size(); ++i) {
      value.at[i] = static_cast<double>(found->second[i]);
    }
  }
  const Samples probe = samples(kBatches, 1);
  const Result<ConstBufferPtr> output = whole_->evaluate(probe.inputs[0], probe.labels[0]);
  if (!output.ok()) return {"evaluation", output.status().message()};
  const Array input = draw_input(graph_, options_.seed, attempt_, sample_number(kBatches, 0));
  const auto outputs = [&](uint64_t noise) {
    return evaluate(needed_, leaves, input, setting(0, 0, false, noise)).values.at(graph_.output);
  };
  const Array right = outputs(0);
  const double off = difference((*output)->floats(), right);
  const double allowed = kTolerance * largest(right);
  if (off <= allowed) return {};
  double spread = 0;
  for (uint64_t noise = 1; noise <= kNoises; ++noise) {
    const Array moved = outputs(noise);
    for (size_t i = 0; i < right.at.size(); ++i) {
      spread = std::max(spread, std::abs(moved.at[i] - right.at[i]));
    }
  }
  if (off <= allowed + kNoiseFactor * spread) {
    ++counts_.too_sharp;
    return {};
  }
  return {"evaluation",
          format("the output is off by %g where the largest element is %g", off, largest(right))};
}

// The same bits: losses, weights, optimizer, statistics.
Verdict Case::compare(const Pipeline& one, const Pipeline& other, const RunPlan& plan,
                      const char* kind) const {
  const std::string where = " (" + describe_plan(plan) + ")";
  const auto snapshots = one.snapshots();
  const auto others = other.snapshots();
  for (int64_t slot = 0; slot < 2; ++slot) {
    const auto found = state(others, slot);
    for (const auto& [name, data] : state(snapshots, slot)) {
      const auto bytes = static_cast<size_t>(count_of(graph_.leaf(name)->dims)) * 4;
      if (std::memcmp(data, found.at(name), bytes) == 0) continue;
      return {kind,
              format("%s of '%s' differs", slot == 0 ? "value" : "gradient", name.c_str()) + where};
    }
  }
  if (one.hash() != other.hash()) return {kind, "the hash differs" + where};
  if (one.losses() != other.losses()) return {kind, "the loss differs" + where};
  return {};
}

Verdict Case::check_cuts() {
  mallopt(M_PERTURB, 0);
  Dice dice(options_.seed, Stream::kRuns, 1);
  const Samples probe = samples(kBatches, 1);
  const Result<ConstBufferPtr> right = whole_->evaluate(probe.inputs[0], probe.labels[0]);
  for (int run = 0; run < kCuts; ++run) {
    const RunPlan plan = draw_sync_plan(dice, model_->layer_count(), micro_batches_);
    const auto made = train(plan, batches_);
    if (!made.ok()) return {"cut", made.status().message() + " (" + describe_plan(plan) + ")"};
    const Verdict verdict = compare(*whole_, **made, plan, "cut");
    if (verdict.failed()) return verdict;
    const Result<ConstBufferPtr> output = (*made)->evaluate(probe.inputs[0], probe.labels[0]);
    if (!right.ok() || !output.ok() ||
        std::memcmp((*right)->data(), (*output)->data(), (*right)->size()) != 0) {
      return {"cut", "the evaluated output differs (" + describe_plan(plan) + ")"};
    }
  }
  return {};
}

// The stages of an async pipeline, against the same stages cut into more pieces each: every layer
// uses the versions of its stage, so the bits are the same.
Verdict Case::check_async() {
  Dice dice(options_.seed, Stream::kRuns, 2);
  std::vector<Samples> batches;
  for (int64_t batch = 0; batch < kAsyncBatches; ++batch) batches.push_back(samples(batch, 1));
  const RunPlan plain = draw_async_plan(dice, model_->layer_count());
  const RunPlan pieces = cut_stages(dice, plain);
  const auto one = train(plain, batches);
  const auto other = train(pieces, batches);
  if (!one.ok() || !other.ok()) {
    return {"async",
            (one.ok() ? other : one).status().message() + " (" + describe_plan(plain) + ")"};
  }
  return compare(**one, **other, pieces, "async");
}

}  // namespace

void Counts::add(const Counts& other) {
  graphs += other.graphs;
  nodes += other.nodes;
  runs += other.runs;
  tensors += other.tensors;
  near_a_jump += other.near_a_jump;
  too_sharp += other.too_sharp;
  diverged += other.diverged;
  failures += other.failures;
  for (size_t i = 0; i < kOpsMax; ++i) {
    drawn[i] += other.drawn[i];
    compared[i] += other.compared[i];
  }
}

Verdict check_graph(const Graph& graph, const CaseOptions& options, Counts* counts) {
  ++counts->graphs;
  Verdict verdict = Case(graph, options, counts).run();
  counts->failures += verdict.failed() ? 1 : 0;
  return verdict;
}

std::vector<std::byte> file_of(const Graph& graph, const CaseOptions& options) {
  return to_onnx(graph, draw_leaves(graph, options.seed, 0));
}

}  // namespace ft::fuzz
