#pragma once

// Violations: what was found wrong. A run stops at the first.

#include <string>
#include <utility>

namespace ft::sim {

class Violations {
 public:
  void add(std::string what) {
    if (first_.empty()) first_ = std::move(what);
  }
  bool any() const { return !first_.empty(); }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

}  // namespace ft::sim
