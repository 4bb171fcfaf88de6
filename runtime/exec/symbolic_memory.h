#pragma once

// SymbolicMemory: which content stands where, while a program is walked without being run. A
// content is a number that whoever walks gives a meaning. Writing over any part of a content ends
// it: what is left of it can no longer be read.

#include <cstdint>
#include <map>
#include <utility>

#include "runtime/exec/range_program.h"

namespace ft {

using Content = int32_t;
constexpr Content kNoContent = -1;

// Bytes [at.offset, at.offset + bytes) of at's region and index.
struct Span {
  Location at;
  int64_t bytes = 0;

  bool overlaps(const Span& other) const;
  bool operator==(const Span& other) const;
};

class SymbolicMemory {
 public:
  void write(const Span& span, Content content);
  // The content that begins there and is at least as long, whole; kNoContent if there is none.
  Content read(const Span& span) const;
  // Whatever stands in the region is gone.
  void forget(Region region);

 private:
  struct Block {
    int64_t end;
    Content content;
  };
  using Space = std::map<int64_t, Block>;  // by first byte; blocks do not overlap

  std::map<std::pair<Region, int32_t>, Space> spaces_;
};

}  // namespace ft
