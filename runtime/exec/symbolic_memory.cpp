#include "runtime/exec/symbolic_memory.h"

namespace ft {

bool Span::overlaps(const Span& other) const {
  return at.region == other.at.region && at.index == other.at.index &&
         at.offset < other.at.offset + other.bytes && other.at.offset < at.offset + bytes;
}

bool Span::operator==(const Span& other) const {
  return at.region == other.at.region && at.index == other.at.index &&
         at.offset == other.at.offset && bytes == other.bytes;
}

void SymbolicMemory::write(const Span& span, Content content) {
  Space& space = spaces_[{span.at.region, span.at.index}];
  const int64_t end = span.at.offset + span.bytes;
  auto block = space.lower_bound(span.at.offset);
  if (block != space.begin() && std::prev(block)->second.end > span.at.offset) --block;
  while (block != space.end() && block->first < end) block = space.erase(block);
  if (content != kNoContent) space[span.at.offset] = {end, content};
}

Content SymbolicMemory::read(const Span& span) const {
  const auto space = spaces_.find({span.at.region, span.at.index});
  if (space == spaces_.end()) return kNoContent;
  const auto block = space->second.find(span.at.offset);
  if (block == space->second.end()) return kNoContent;
  const bool is_whole = block->second.end >= span.at.offset + span.bytes;
  return is_whole ? block->second.content : kNoContent;
}

void SymbolicMemory::forget(Region region) {
  for (auto& [key, space] : spaces_) {
    if (key.first == region) space.clear();
  }
}

}  // namespace ft
