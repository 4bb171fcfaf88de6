#pragma once

// The forward half of compile_range: makes the kernels, groups values that share storage, and gives
// each group its place. Internal to runtime/exec.

#include <vector>

#include "runtime/exec/arena_planner.h"
#include "runtime/exec/range_program.h"

namespace ft {

class StoragePlan {
 public:
  // `has_stash`: values that backward reads are kept apart from the work block.
  StoragePlan(const Model& model, const std::vector<LayerLayout>& layouts, bool has_stash,
              RangeProgram* program);

  // Makes every node's KernelPlan. Errors: kInvalid, naming the node.
  Status make_kernels();
  // Groups and places the forward values; fills program->forward and forward_copies.
  void plan_forward();

  int node_first() const { return node_first_; }
  int node_count() const { return node_count_; }
  const Node& node(int local) const {
    return model_.nodes[static_cast<size_t>(node_first_ + local)];
  }
  const KernelPlan& plan(int local) const { return program_.plans[static_cast<size_t>(local)]; }

  // Where a value is during forward and, if it was saved, backward.
  Location location(ValueId id) const;
  // Whether the value is not kept for backward, but made again then.
  bool is_recomputed(ValueId id) const {
    return id != kNoValue && group_of(id) >= 0 && group(id).recomputed;
  }
  // Steps that make it again in `target`, at `step` of the timeline. REQUIRES: is_recomputed(id).
  std::vector<ForwardStep> recompute(ValueId id, const Location& target, int step);
  const LayerLayout& layout(int local_layer) const {
    return layouts_[static_cast<size_t>(program_.range.first + local_layer)];
  }
  // Of a state value in its layer's buffer; `region` says in which buffer.
  Location state_location(ValueId id, Region region) const;
  // Where node `local` keeps its private stash.
  Location stash_of(int local) const { return stashes_[static_cast<size_t>(local)]; }
  // A block of the work arena that lives during steps [first, last]; the offset is filled in by
  // place_work().
  Location work(int64_t bytes, int first, int last);
  void extend_work(const Location& location, int step);
  // Places the work arena and turns every work location of the program into an offset.
  void place_work();

 private:
  struct Group {
    Region region = Region::kNone;
    Location location;
    int64_t bytes = 0;
    int last_use = 0;  // local forward step
    bool saved = false;
    bool crosses = false;      // holds a value of program.outputs
    bool recomputed = false;   // saved, but made again in backward
    bool kept = false;         // there in backward, as forward left it
    std::vector<int> writers;  // local nodes whose kernels write it, in order
  };
  struct WorkBlock {
    int64_t bytes;
    int first;
    int last;
  };

  int32_t group_of(ValueId id) const { return group_[static_cast<size_t>(id)]; }
  Group& group(ValueId id) { return groups_[static_cast<size_t>(group_of(id))]; }
  const Group& group(ValueId id) const { return groups_[static_cast<size_t>(group_of(id))]; }
  bool is_output(ValueId id) const;
  Location stash(int64_t bytes, int first, int last);
  void start_group(ValueId id, Region region, Location location);
  void group_node(int local);
  bool may_write_in_place(int local) const;
  void note_uses();
  bool may_recompute(int32_t index) const;
  void place_groups();
  void resolve(Location* location, const ArenaPlanner& arena) const;

  const Model& model_;
  const std::vector<LayerLayout>& layouts_;
  const bool has_stash_;
  RangeProgram& program_;
  int node_first_ = 0;
  int node_count_ = 0;
  std::vector<int32_t> group_;          // by ValueId, -1: not in this range
  std::vector<int32_t> last_consumer_;  // by ValueId: local step, -1 none here
  std::vector<bool> value_saved_;       // by ValueId
  std::vector<size_t> writes_;  // by ValueId: kernels that have written its group, its own included
  std::vector<Group> groups_;
  std::vector<int> group_first_;   // local step that first writes the group
  std::vector<Location> stashes_;  // by local node
  std::vector<WorkBlock> work_;
};

// The backward half: fills program->backward from the forward storage. REQUIRES: plan_forward ran.
void plan_backward(const Model& model, const BackwardOptions& options, StoragePlan* storage,
                   RangeProgram* program);

}  // namespace ft
