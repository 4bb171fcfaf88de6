#include "tests/graph_fuzz/case.h"

#include <algorithm>
#include <cstring>
#include <malloc.h>
#include <set>

#include "onnx_import/import.h"
#include "tests/graph_fuzz/dice.h"
#include "tests/graph_fuzz/pipeline.h"
#include "tests/graph_fuzz/plans.h"
#include "tests/graph_fuzz/truth.h"

namespace ft::fuzz {
namespace {

// A slope that jumps nearer than this to a value may be met on the other side in float32.
constexpr double kJumpDistance = 1e-4;
constexpr uint64_t kAttempts = 8;
constexpr int kBatches = 3;
constexpr int64_t kAsyncBatches = 5;
constexpr int kCuts = 3;  // ways to cut that are tried
// The largest element of the first gradients moves a weight by about this much, or less.
constexpr double kMove = 0.002;
constexpr double kLearningRateMax = 0.05;
// What trains well in the first batch may still run away in a steep graph: there is nothing to
// compare then.
constexpr double kRunaway = 1e6;

class Case {
 public:
  Case(const Graph& graph, const CaseOptions& options, Counts* counts)
      : graph_(graph), needed_(pruned(graph)), counts_(*counts) {
    Dice dice(options.seed, Stream::kRuns);
    job_.graph = &needed_;
    job_.seed = options.seed;
    job_.planted = options.planted;
    job_.micro_batches = static_cast<int>(dice.of<int64_t>({1, 1, 2, 4}));
    job_.trainer.loss = graph.loss;
    job_.trainer.seed = dice.bits();
    job_.trainer.batches_per_epoch = dice.between(1, 3);
    job_.trainer.optimizer.momentum = 0.9F;
    job_.trainer.optimizer.nesterov = dice.chance(30);
  }

  Verdict run() {
    count_nodes(&counts_.drawn);
    counts_.nodes += static_cast<int64_t>(needed_.nodes.size());
    Verdict verdict = import();
    if (!verdict.failed()) verdict = draw_data();
    if (!verdict.failed()) verdict = train_whole();
    if (!verdict.failed() && has_run_away_) {
      ++counts_.run_away;
      return {};
    }
    if (!verdict.failed()) verdict = check_evaluation();
    if (!verdict.failed()) verdict = check_cuts();
    if (!verdict.failed()) verdict = check_async();
    return verdict;
  }

 private:
  using Floats = std::map<std::string, const float*>;

  void count_nodes(std::array<int64_t, kOpsMax>* counts) const;
  Verdict import();
  Verdict check_trained() const;
  Verdict draw_data();
  Verdict train_whole();
  Verdict check_first_batch(const std::vector<ConstBufferPtr>& snapshots);
  Verdict check_evaluation();
  Verdict check_cuts();
  Verdict check_async();
  Samples samples(int64_t batch, int micro_batches) const;
  Result<std::unique_ptr<Pipeline>> train(const RunPlan& plan, const std::vector<Samples>& batches);
  Verdict compare(const Pipeline& one, const Pipeline& other, const RunPlan& plan,
                  const char* kind) const;
  // By name: of slot 0 weights and statistics, of slot 1 the optimizer's velocities.
  Floats state(const std::vector<ConstBufferPtr>& snapshots, int64_t slot) const;

  const Graph& graph_;
  const Graph needed_;
  Counts& counts_;
  Job job_;
  std::shared_ptr<const Model> model_;
  Values leaves_;
  std::unique_ptr<Truth> truth_;
  std::unique_ptr<Pipeline> whole_;
  bool has_run_away_ = false;
  std::vector<Samples> batches_;
};

void Case::count_nodes(std::array<int64_t, kOpsMax>* counts) const {
  const auto ops = op_table();
  for (const GraphNode& node : needed_.nodes) {
    for (size_t i = 0; i < ops.size(); ++i) (*counts)[i] += node.op == ops[i].name;
  }
}

Result<Model> import_graph(const Graph& graph, const Values& leaves, int64_t rows) {
  ImportOptions options;
  options.batch = rows;
  options.cross_entropy = graph.loss == LossKind::kCrossEntropy;
  // All weights train, those that look like a part of how samples are prepared, too.
  for (const Leaf& leaf : pruned(graph).leaves) {
    if (leaf.kind == LeafKind::kWeight) options.roles.train.push_back(leaf.name);
  }
  return import_model(to_onnx(graph, leaves), options);
}

// The graph for its own rows; and for others, with which it must be the same but for shapes.
Verdict Case::import() {
  leaves_ = draw_leaves(graph_, job_.seed, 0);
  Result<Model> model = import_graph(graph_, leaves_, graph_.rows);
  if (!model.ok()) return {"import", model.status().message()};
  const Result<Model> other = import_graph(graph_, leaves_, graph_.rows + 1);
  if (!other.ok()) return {"import for another batch", other.status().message()};
  if (describe(*model, false) != describe(*other, false)) {
    return {"import for another batch", "nodes, values or layers differ"};
  }
  model_ = std::make_shared<Model>(std::move(*model));
  for (size_t i = 0; i < model_->nodes.size(); ++i) {
    job_.numbers[model_->nodes[i].name] = static_cast<uint32_t>(i);
  }
  job_.output_elements = model_->value(model_->output).type.shape.element_count();
  return check_trained();
}

// Weights that must train: all that the loss depends on. Whether a factor right behind the samples
// is a weight or part of how samples are prepared is another question.
Verdict Case::check_trained() const {
  std::set<std::string> parameters;
  for (const Value& value : model_->values) {
    if (value.kind == ValueKind::kParameter) parameters.insert(value.name);
  }
  static const std::set<std::string> kHeavy = {"BatchNormalization", "Conv", "Gemm", "MatMul"};
  for (const Leaf& leaf : needed_.leaves) {
    if (leaf.kind != LeafKind::kWeight || parameters.count(leaf.name) != 0) continue;
    const bool prepares =
        std::any_of(needed_.nodes.begin(), needed_.nodes.end(), [&](const GraphNode& node) {
          const auto reads = [&](const std::string& name) {
            return std::count(node.inputs.begin(), node.inputs.end(), name) != 0;
          };
          return reads(leaf.name) && reads(graph_.input().name) && kHeavy.count(node.op) == 0;
        });
    if (!prepares) return {"import", "weight '" + leaf.name + "' is not trained"};
  }
  return {};
}

ConstBufferPtr floats_buffer(const std::vector<double>& values) {
  const BufferPtr buffer = make_buffer(values.size() * 4);
  for (size_t i = 0; i < values.size(); ++i) buffer->floats()[i] = static_cast<float>(values[i]);
  return buffer;
}

ConstBufferPtr labels_buffer(const std::vector<double>& values) {
  const BufferPtr buffer = make_buffer(values.size() * 8);
  auto* const labels = reinterpret_cast<int64_t*>(buffer->data());
  for (size_t i = 0; i < values.size(); ++i) labels[i] = static_cast<int64_t>(values[i]);
  return buffer;
}

Samples Case::samples(int64_t batch, int micro_batches) const {
  Samples samples;
  const bool classifies = graph_.loss == LossKind::kCrossEntropy;
  for (int micro = 0; micro < micro_batches; ++micro) {
    const std::vector<double> targets = job_.targets(batch, micro);
    samples.inputs.push_back(floats_buffer(job_.input(batch, micro).at));
    samples.labels.push_back(classifies ? labels_buffer(targets) : floats_buffer(targets));
  }
  return samples;
}

// Values that stay clear of jumps, the last ones drawn if none do.
Verdict Case::draw_data() {
  for (job_.attempt = 0;; ++job_.attempt) {
    leaves_ = draw_leaves(graph_, job_.seed, job_.attempt);
    truth_ = std::make_unique<Truth>(job_, leaves_);
    if (truth_->outcome().kink >= kJumpDistance || job_.attempt + 1 == kAttempts) break;
  }
  if (job_.attempt > 0) {
    Result<Model> model = import_graph(graph_, leaves_, graph_.rows);
    if (!model.ok()) return {"import", model.status().message()};
    model_ = std::make_shared<Model>(std::move(*model));
  }
  const double most = std::max(truth_->largest_gradient(), kMove / kLearningRateMax);
  job_.trainer.optimizer.learning_rate = static_cast<float>(kMove / most);
  for (int batch = 0; batch < kBatches; ++batch) {
    batches_.push_back(samples(batch, job_.micro_batches));
  }
  return {};
}

Result<std::unique_ptr<Pipeline>> Case::train(const RunPlan& plan,
                                              const std::vector<Samples>& batches) {
  ++counts_.runs;
  FT_ASSIGN_OR_RETURN(std::unique_ptr<Pipeline> pipeline,
                      Pipeline::create(model_, job_.trainer, plan));
  FT_RETURN_IF_ERROR(pipeline->train(batches));
  return pipeline;
}

Case::Floats Case::state(const std::vector<ConstBufferPtr>& snapshots, int64_t slot) const {
  Floats list;
  for (int index = 0; index < model_->layer_count(); ++index) {
    const Layer& layer = model_->layers[static_cast<size_t>(index)];
    const LayerLayout layout = layer_layout(*model_, index, job_.trainer.optimizer);
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

Verdict Case::check_first_batch(const std::vector<ConstBufferPtr>& snapshots) {
  Verdict verdict = truth_->check_loss(whole_->losses()[0], &counts_);
  if (!verdict.failed()) verdict = truth_->check_statistics(state(snapshots, 0), &counts_);
  if (verdict.failed()) return verdict;
  if (truth_->outcome().kink < kJumpDistance) {
    ++counts_.near_a_jump;
    return {};
  }
  count_nodes(&counts_.compared);
  // The velocity after the first step is the gradient itself.
  return truth_->check_gradients(state(snapshots, 1), &counts_);
}

// Uncut, one thread, nothing deferred: what all others are compared with.
Verdict Case::train_whole() {
  mallopt(M_PERTURB, 0x80);  // fresh memory holds huge numbers: nobody may count on zeros
  RunPlan plan;
  plan.stations = {{.range = {0, model_->layer_count()}}};
  plan.micro_batches = job_.micro_batches;
  Result<std::unique_ptr<Pipeline>> made = train(plan, {batches_[0]});
  if (!made.ok()) return {"training", made.status().message()};
  whole_ = std::move(*made);
  const Verdict verdict = check_first_batch(whole_->snapshots());
  if (verdict.failed()) return verdict;
  const Status status = whole_->train({batches_.begin() + 1, batches_.end()});
  const double bound = kRunaway * (1 + truth_->outcome().loss);
  const std::vector<double>& losses = whole_->losses();
  has_run_away_ = !status.ok() || std::any_of(losses.begin(), losses.end(),
                                              [=](double loss) { return !(loss <= bound); });
  return {};
}

// Inference with the trained weights, as the product has them.
Verdict Case::check_evaluation() {
  const std::vector<ConstBufferPtr> snapshots = whole_->snapshots();
  const Floats trained = state(snapshots, 0);
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
  return check_output(job_, leaves, kBatches, (*output)->floats(), &counts_);
}

// The same bits: losses, weights, optimizer, statistics.
Verdict Case::compare(const Pipeline& one, const Pipeline& other, const RunPlan& plan,
                      const char* kind) const {
  const std::string where = " (" + describe_plan(plan) + ")";
  const auto snapshots = one.snapshots();
  const auto others = other.snapshots();
  for (int64_t slot = 0; slot < 2; ++slot) {
    const Floats found = state(others, slot);
    for (const auto& [name, data] : state(snapshots, slot)) {
      const Leaf* leaf = graph_.leaf(name);
      if (leaf == nullptr) continue;  // a copy: the hash sees it
      const auto bytes = static_cast<size_t>(count_of(leaf->dims)) * 4;
      if (std::memcmp(data, found.at(name), bytes) == 0) continue;
      return {kind,
              format("%s of '%s' differs", slot == 0 ? "value" : "velocity", name.c_str()) + where};
    }
  }
  if (one.hash() != other.hash()) return {kind, "the hash differs" + where};
  if (one.losses() != other.losses()) return {kind, "the loss differs" + where};
  return {};
}

Verdict Case::check_cuts() {
  mallopt(M_PERTURB, 0);
  Dice dice(job_.seed, Stream::kRuns, 1);
  const Samples probe = samples(kBatches, 1);
  const Result<ConstBufferPtr> right = whole_->evaluate(probe.inputs[0], probe.labels[0]);
  for (int run = 0; run < kCuts; ++run) {
    const RunPlan plan = draw_sync_plan(dice, model_->layer_count(), job_.micro_batches);
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
  Dice dice(job_.seed, Stream::kRuns, 2);
  std::vector<Samples> batches;
  for (int64_t batch = 0; batch < kAsyncBatches; ++batch) batches.push_back(samples(batch, 1));
  const RunPlan plain = draw_async_plan(dice, model_->layer_count());
  const RunPlan pieces = cut_stages(dice, plain);
  const auto one = train(plain, batches);
  const auto other = train(pieces, batches);
  const std::string first = one.ok() ? "" : one.status().message();
  const std::string second = other.ok() ? "" : other.status().message();
  if (first != second) {
    return {"async",
            "'" + first + "' whole, '" + second + "' in pieces (" + describe_plan(pieces) + ")"};
  }
  if (!one.ok()) {  // old versions make steep graphs steeper
    ++counts_.run_away;
    return {};
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
  run_away += other.run_away;
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
