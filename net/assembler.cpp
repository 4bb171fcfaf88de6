#include "net/assembler.h"

#include <cstring>
#include <utility>

#include "runtime/base/check.h"

namespace ft {

Assembler::Outcome Assembler::add(const BulkHeader& header, std::span<const std::byte> chunk,
                                  const std::function<int64_t()>& expected_bytes) {
  FT_CHECK(static_cast<int64_t>(chunk.size()) == header.chunk_bytes);
  auto found = assemblies_.find(header.name);
  if (header.offset == 0) {
    // A second beginning of a transfer that is not finished contradicts the first.
    if (found != assemblies_.end() || assemblies_.size() >= kAssembliesMax ||
        expected_bytes() != header.total_bytes) {
      return Outcome::kRefused;
    }
    const auto bytes = static_cast<uint64_t>(header.total_bytes);
    Assembly assembly{passes_through(header.name.kind) ? passing_.make(bytes) : make_buffer(bytes)};
    found = assemblies_.emplace(header.name, std::move(assembly)).first;
  }
  if (found == assemblies_.end()) return Outcome::kRefused;
  Assembly& assembly = found->second;
  if (header.offset != assembly.received ||
      header.total_bytes != static_cast<int64_t>(assembly.bytes->size())) {
    return Outcome::kRefused;
  }
  if (!chunk.empty()) {
    std::memcpy(assembly.bytes->data() + assembly.received, chunk.data(), chunk.size());
  }
  assembly.received += header.chunk_bytes;
  if (assembly.received < header.total_bytes) return Outcome::kPartial;
  complete_ = std::move(assembly.bytes);
  assemblies_.erase(found);
  return Outcome::kComplete;
}

}  // namespace ft
