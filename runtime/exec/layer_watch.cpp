#include "runtime/exec/layer_watch.h"

#include <algorithm>

namespace ft {

LayerWatch::LayerWatch(const Model& model, LayerRange range, const ThreadPool* pool)
    : pool_(*pool), layer_us_(static_cast<size_t>(range.count())) {
  for (int layer = range.first; layer < range.last; ++layer) {
    const Layer& nodes = model.layers[static_cast<size_t>(layer)];
    layer_of_.insert(layer_of_.end(), static_cast<size_t>(nodes.node_last - nodes.node_first),
                     static_cast<size_t>(layer - range.first));
  }
}

void LayerWatch::before() {
  workers_us_ = pool_.worker_cpu_us();
  own_us_ = thread_cpu_now_us();  // last: asking for the others takes time, too
}

void LayerWatch::after(int32_t node, bool) { after_layer(layer_of_[static_cast<size_t>(node)]); }

void LayerWatch::after_layer(size_t layer) {
  const TimeUs own = thread_cpu_now_us() - own_us_;
  const TimeUs workers = pool_.worker_cpu_us() - workers_us_;
  const double shared = static_cast<double>(own + workers) / pool_.threads();
  layer_us_[layer] += std::max(static_cast<double>(own), shared);
}

std::vector<double> LayerWatch::take() {
  std::vector<double> taken(layer_us_.size());
  taken.swap(layer_us_);
  return taken;
}

}  // namespace ft
