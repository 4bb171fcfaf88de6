#pragma once

namespace ft {

// Layers [first, last).
struct LayerRange {
  int first = 0;
  int last = 0;
  bool operator==(const LayerRange&) const = default;
  int count() const { return last - first; }
};

}  // namespace ft
