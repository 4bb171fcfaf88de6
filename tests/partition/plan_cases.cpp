#include "tests/partition/plan_cases.h"

#include <algorithm>

#include "runtime/base/random.h"

namespace ft::test {
namespace {

// Numbers in the order of asking.
class Draw {
 public:
  explicit Draw(uint64_t seed) : seed_(seed) {}
  uint32_t bits() { return random_block({seed_, RandomPurpose::kSynthetic, 7}, 0, next_++)[0]; }
  int below(int bound) { return static_cast<int>(bits() % static_cast<uint32_t>(bound)); }
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(uniform_float(bits()));
  }
  bool once_in(int count) { return below(count) == 0; }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

const LinkCost& link_of(const PlanRequest& request, int from, int to) {
  static const LinkCost kFree;
  if (request.links.empty()) return kFree;
  return request.links[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

void draw_links(Draw* draw, PlanRequest* request) {
  const size_t devices = request->devices.size();
  request->links.assign(devices, std::vector<LinkCost>(devices));
  const double scale = draw->between(0.2, 4);  // of transfers against compute
  for (auto& row : request->links) {
    for (LinkCost& link : row) {
      link.bytes_per_us = draw->between(0.5, 20) / scale;
      link.latency_us = draw->once_in(2) ? 0 : draw->between(0, 50);
    }
  }
}

void draw_limits(Draw* draw, PlanRequest* request) {
  const int layers = static_cast<int>(request->layers.size());
  const int devices = static_cast<int>(request->devices.size());
  const double whole = static_cast<double>(range_memory_bytes(*request, {0, layers}, 1));
  for (DeviceCost& device : request->devices) {
    if (!draw->once_in(3)) {
      device.memory_bytes = static_cast<int64_t>(whole * draw->between(0, 1.3));
    }
  }
  for (int a = 0; a < devices; ++a) {
    for (int b = a + 1; b < devices; ++b) {
      if (draw->once_in(6)) request->unreachable.emplace(a, b);
    }
  }
}

// Calls `visit` for each way to cut `layers` into `count` ranges.
void each_cut(int layers, size_t count, std::vector<LayerRange>* ranges,
              const std::function<void()>& visit) {
  const int first = ranges->empty() ? 0 : ranges->back().last;
  if (ranges->size() + 1 == count) {
    if (first == layers) return;
    ranges->push_back({first, layers});
    visit();
    ranges->pop_back();
    return;
  }
  for (int last = first + 1; last < layers; ++last) {
    ranges->push_back({first, last});
    each_cut(layers, count, ranges, visit);
    ranges->pop_back();
  }
}

void each_order(int devices, std::vector<int>* order, const std::function<void()>& visit) {
  if (!order->empty()) visit();
  for (int device = 0; device < devices; ++device) {
    if (std::find(order->begin(), order->end(), device) != order->end()) continue;
    order->push_back(device);
    each_order(devices, order, visit);
    order->pop_back();
  }
}

}  // namespace

PlanRequest equal_layers(int layers, const std::vector<double>& speeds) {
  PlanRequest request;
  request.layers.resize(static_cast<size_t>(layers));
  request.cuts.resize(static_cast<size_t>(layers));
  for (size_t d = 0; d < speeds.size(); ++d) {
    DeviceCost device;
    device.name = d == 0 ? "central" : "pi4-" + std::string(1, static_cast<char>('a' + d - 1));
    device.layer_us.assign(static_cast<size_t>(layers), 1000 / speeds[d]);
    request.devices.push_back(device);
  }
  return request;
}

void set_links(PlanRequest* request, const LinkCost& link) {
  const size_t devices = request->devices.size();
  request->links.assign(devices, std::vector<LinkCost>(devices, link));
}

void set_cuts(PlanRequest* request, const CutSize& cut) {
  for (size_t i = 1; i < request->cuts.size(); ++i) request->cuts[i] = cut;
}

PlanRequest random_request(uint64_t seed, const CaseSize& size) {
  Draw draw(seed);
  PlanRequest request;
  request.sync = draw.once_in(2);
  request.micro_batches = request.sync ? 1 + draw.below(4) : 1;
  request.layers.resize(1 + static_cast<size_t>(draw.below(size.layers_max)));
  request.cuts.resize(request.layers.size());
  for (LayerSize& layer : request.layers) {
    layer.parameter_bytes = draw.below(1000);
    layer.state_bytes = 2 * layer.parameter_bytes + draw.below(50);
    layer.stash_bytes = draw.below(3000);
    layer.work_bytes = draw.below(3000);
  }
  for (size_t i = 0; i < request.cuts.size(); ++i) {
    request.cuts[i].forward_bytes = draw.once_in(8) ? 0 : 1 + draw.below(1000);
    request.cuts[i].gradient_bytes = i == 0 || draw.once_in(8) ? 0 : 1 + draw.below(1000);
  }
  request.devices.resize(1 + static_cast<size_t>(draw.below(size.devices_max)));
  const bool alike = draw.once_in(3);  // equal devices and layers: many ties
  for (size_t d = 0; d < request.devices.size(); ++d) {
    DeviceCost& device = request.devices[d];
    device.name = "device" + std::to_string(d);
    const double slowness = alike ? 1 : draw.between(1, 10);
    for (size_t i = 0; i < request.layers.size(); ++i) {
      device.layer_us.push_back(slowness * (alike ? 100 : draw.between(10, 200)));
    }
  }
  request.messages_bytes = draw.once_in(2) ? 0 : 200;
  if (draw.once_in(3)) {
    for (DeviceCost& device : request.devices) {
      if (!draw.once_in(3)) device.byte_us = draw.between(0, 0.4);
      if (draw.once_in(3)) device.pauses_us = draw.between(0, 100);
    }
  }
  if (!draw.once_in(4)) draw_links(&draw, &request);
  if (size.limits) draw_limits(&draw, &request);
  return request;
}

PlanRequest large_request(uint64_t seed, int devices, int layers, bool sync) {
  Draw draw(seed);
  PlanRequest request;
  request.sync = sync;
  request.micro_batches = sync ? 4 : 1;
  request.layers.resize(static_cast<size_t>(layers));
  request.cuts.resize(request.layers.size());
  std::vector<double> layer_us;
  for (size_t i = 0; i < request.layers.size(); ++i) {
    layer_us.push_back(draw.between(100, 3000));
    const double shrinking = 1.2 - static_cast<double>(i) / layers;
    request.cuts[i].forward_bytes = static_cast<int64_t>(draw.between(2e4, 4e5) * shrinking);
    request.cuts[i].gradient_bytes = i == 0 ? 0 : request.cuts[i].forward_bytes;
  }
  for (int d = 0; d < devices; ++d) {
    DeviceCost device;
    device.name = "device" + std::to_string(d);
    const double slowness = draw.between(1, 10);
    for (const double us : layer_us) {
      device.layer_us.push_back(us * slowness * draw.between(0.8, 1.25));
    }
    request.devices.push_back(device);
  }
  set_links(&request, {});
  for (auto& row : request.links) {
    for (LinkCost& link : row) link = {draw.between(10, 120), draw.between(100, 1000)};
  }
  return request;
}

PlanRequest permuted(const PlanRequest& request, const std::vector<int>& order) {
  PlanRequest result = request;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto from = static_cast<size_t>(order[i]);
    result.devices[i] = request.devices[from];
    for (size_t j = 0; j < order.size() && !request.links.empty(); ++j) {
      result.links[i][j] = request.links[from][static_cast<size_t>(order[j])];
    }
  }
  result.unreachable.clear();
  for (const auto& [a, b] : request.unreachable) {
    const auto place = [&order](int device) {
      return static_cast<int>(std::find(order.begin(), order.end(), device) - order.begin());
    };
    result.unreachable.insert(std::minmax(place(a), place(b)));
  }
  return result;
}

double cost_by_definition(const PlanRequest& request, const std::vector<int>& devices,
                          const std::vector<LayerRange>& ranges) {
  const size_t stages = devices.size();
  std::vector<double> c(stages, 0.0);
  std::vector<double> f(stages, 0.0);  // behind each stage
  std::vector<double> b(stages, 0.0);
  double sum = 0;
  double greatest = 0;
  if (devices[0] != 0) {
    const double there = link_of(request, 0, devices[0]).time_us(request.cuts[0].forward_bytes);
    const double here = link_of(request, devices[0], 0).time_us(request.cuts[0].gradient_bytes);
    sum = there + here;
    greatest = std::max(there, here);
  }
  for (size_t s = 0; s < stages; ++s) {
    int64_t crossing =
        request.messages_bytes + request.cuts[static_cast<size_t>(ranges[s].first)].bytes();
    if (s + 1 < stages) crossing += request.cuts[static_cast<size_t>(ranges[s].last)].bytes();
    const DeviceCost& device = request.devices[static_cast<size_t>(devices[s])];
    c[s] = device.byte_us * static_cast<double>(crossing) + device.pauses_us;
    for (int i = ranges[s].first; i < ranges[s].last; ++i) {
      c[s] += device.layer_us[static_cast<size_t>(i)];
    }
    if (s + 1 < stages) {
      const CutSize& cut = request.cuts[static_cast<size_t>(ranges[s].last)];
      f[s] = link_of(request, devices[s], devices[s + 1]).time_us(cut.forward_bytes);
      b[s] = link_of(request, devices[s + 1], devices[s]).time_us(cut.gradient_bytes);
    }
    sum += c[s] + f[s] + b[s];
    greatest = std::max({greatest, c[s], f[s], b[s]});
  }
  if (request.sync) return (request.micro_batches - 1) * greatest + sum;
  for (size_t s = 0; s < stages; ++s) {
    double round_trip = 0;
    for (size_t t = s; t < stages; ++t) round_trip += c[t] + f[t] + b[t];
    greatest = std::max(greatest, round_trip / static_cast<double>(stages - s));
  }
  return greatest;
}

bool allowed(const PlanRequest& request, const std::vector<int>& devices,
             const std::vector<LayerRange>& ranges) {
  for (size_t s = 0; s < devices.size(); ++s) {
    const int previous = s == 0 ? 0 : devices[s - 1];
    if (request.unreachable.count(std::minmax(previous, devices[s])) != 0) return false;
    const int64_t in_flight = static_cast<int64_t>(devices.size() - s);
    int64_t bytes = 0;
    int64_t work = 0;
    for (int i = ranges[s].first; i < ranges[s].last; ++i) {
      const LayerSize& layer = request.layers[static_cast<size_t>(i)];
      const int64_t older = request.sync || in_flight == 1 ? 0 : in_flight;
      bytes += (1 + older) * layer.state_bytes;                              // versions
      bytes += layer.parameter_bytes * (request.micro_batches > 1 ? 2 : 1);  // gradients
      bytes += in_flight * layer.stash_bytes;
      bytes += 3 * layer.state_bytes;  // snapshots
      work = std::max(work, layer.work_bytes);
    }
    if (bytes + work > request.devices[static_cast<size_t>(devices[s])].memory_bytes) return false;
  }
  return true;
}

std::vector<double> least_costs(const PlanRequest& request) {
  const int layers = static_cast<int>(request.layers.size());
  std::vector<double> least(request.devices.size() + 1, std::numeric_limits<double>::infinity());
  std::vector<int> order;
  std::vector<LayerRange> ranges;
  each_order(static_cast<int>(request.devices.size()), &order, [&] {
    each_cut(layers, order.size(), &ranges, [&] {
      if (!allowed(request, order, ranges)) return;
      double& cost = least[order.size()];
      cost = std::min(cost, cost_by_definition(request, order, ranges));
    });
  });
  return least;
}

std::string text_of(const Plan& plan) {
  std::string text;
  for (const PlannedStage& stage : plan.stages) {
    if (!text.empty()) text += ' ';
    text += std::to_string(stage.device) + ':' + std::to_string(stage.range.first) + '-' +
            std::to_string(stage.range.last);
  }
  return text;
}

}  // namespace ft::test
