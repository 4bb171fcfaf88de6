#pragma once

// LayerWatch: the CPU time that each layer of a range takes, added up while it watches a trainer.
// In CPU time, so that what other programs or a quota take in between does not count. It asks the
// system for every kernel: on a board about a microsecond each. Owned by the compute thread.

#include <vector>

#include "kernels/thread_pool.h"
#include "onnx_import/model.h"
#include "runtime/base/clock.h"
#include "runtime/exec/range_executor.h"

namespace ft {

class LayerWatch : public KernelWatch {
 public:
  // Both outlive the watch's use.
  LayerWatch(const Model& model, LayerRange range, const ThreadPool* pool);

  void before() override;
  void after(int32_t node, bool backward) override;
  // The same for work that belongs to a layer of the range as a whole.
  void after_layer(size_t layer);

  // Microseconds since the last call, by layer of the range: of the thread that computes, or its
  // share of what it and the pool's workers have done, whichever is more.
  std::vector<double> take();

 private:
  const ThreadPool& pool_;
  std::vector<size_t> layer_of_;  // by node of the range
  std::vector<double> layer_us_;
  TimeUs own_us_ = 0;
  TimeUs workers_us_ = 0;
};

}  // namespace ft
