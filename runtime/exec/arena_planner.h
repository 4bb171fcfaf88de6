#pragma once

// Offsets for values with known lifetimes in one block of memory: two requests whose lifetimes meet
// do not overlap. Greedy by size, which is within some percent of the optimum on such graphs
// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ft {

class ArenaPlanner {
 public:
  // Asks for `bytes` that live during steps [first, last]; returns the request's number.
  int request(int64_t bytes, int first, int last);

  // Places every request; to be called once.
  void place();

  int64_t offset(int request) const { return requests_[static_cast<size_t>(request)].offset; }
  int64_t total_bytes() const { return total_bytes_; }

 private:
  struct Request {
    int64_t bytes;
    int first;
    int last;
    int64_t offset;
  };
  std::vector<Request> requests_;
  int64_t total_bytes_ = 0;
};

}  // namespace ft
