#include "runtime/store/checkpoint.h"

#include <cstring>
#include <doctest/doctest.h>

#include "runtime/base/file.h"
#include "tests/base/temp_dir.h"

namespace {

ft::Checkpoint example() {
  ft::Checkpoint checkpoint;
  checkpoint.model.fill(7);
  checkpoint.version = 41;
  for (size_t size : {12U, 0U, 4096U}) {
    ft::BufferPtr snapshot = ft::make_buffer(size);
    std::memset(snapshot->data(), static_cast<int>(size % 251), size);
    checkpoint.snapshots.push_back(snapshot);
  }
  return checkpoint;
}

}  // namespace

TEST_CASE("checkpoint: goes there and back") {
  const ft::TempDir directory;
  const std::string path = directory.path() + "/checkpoint.ftc";
  REQUIRE(ft::write_checkpoint(path, example()).ok());
  const auto back = ft::read_checkpoint(path);
  REQUIRE_MESSAGE(back.ok(), back.status().message());
  CHECK(back->version == 41);
  CHECK(back->model == example().model);
  REQUIRE(back->snapshots.size() == 3);
  CHECK(back->snapshots[2]->size() == 4096);
  CHECK(std::memcmp(back->snapshots[2]->data(), example().snapshots[2]->data(), 4096) == 0);
}

TEST_CASE("checkpoint: every truncation and every flipped bit is noticed") {
  const ft::TempDir directory;
  const std::string path = directory.path() + "/checkpoint.ftc";
  ft::Checkpoint small = example();
  small.snapshots.pop_back();
  REQUIRE(ft::write_checkpoint(path, small).ok());
  const auto whole = ft::read_file(path);
  REQUIRE(whole.ok());
  const std::span<const std::byte> bytes = (*whole)->bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    REQUIRE(ft::write_file_atomic(path, bytes.first(length)).ok());
    CHECK(!ft::read_checkpoint(path).ok());
  }
  std::vector<std::byte> flipped(bytes.begin(), bytes.end());
  for (size_t at = 0; at < flipped.size(); ++at) {
    flipped[at] ^= std::byte{1};
    REQUIRE(ft::write_file_atomic(path, flipped).ok());
    CHECK(!ft::read_checkpoint(path).ok());
    flipped[at] ^= std::byte{1};
  }
}
