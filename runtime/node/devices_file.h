#pragma once

// The devices of `ftrun plan --devices FILE`, in TOML:
//
//   [[device]]
//   name = "laptop"        # the first one is central
//   capacity = 1.0         # 1: as fast as the machine that plans; 0.1: a tenth
//   memory = "2GB"         # for training; left out: no limit
//   rate = "10MB/s"        # of its network, each way; left out: no limit
//   latency = "1ms"
//
//   [[link]]               # where two devices have another link than their networks give
//   between = ["laptop", "pi4"]
//   rate = "2MB/s"
//   latency = "5ms"
//   reachable = false      # left out: true
//
// A link between two devices has the lower of their rates and the sum of their latencies.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "partition/planner.h"

namespace ft {

struct DevicesFile {
  struct Device {
    std::string name;
    double capacity = 1;
    int64_t memory_bytes = 0;  // 0: no limit
  };
  std::vector<Device> devices;
  std::vector<std::vector<LinkCost>> links;   // [from][to]
  std::set<std::pair<int, int>> unreachable;  // (smaller, larger)
};

// Errors: kInvalid, naming file, line or device, and key.
Result<DevicesFile> read_devices_file(const std::string& path);

}  // namespace ft
