#include "runtime/base/file.h"

#include <doctest/doctest.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>

#include "tests/base/temp_dir.h"

namespace ft {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string content(const std::string& path) {
  const auto buffer = read_file(path);
  REQUIRE(buffer.ok());
  return std::string(reinterpret_cast<const char*>((*buffer)->data()), (*buffer)->size());
}

}  // namespace

TEST_CASE("file: replacing leaves the new bytes and nothing beside them") {
  const TempDir dir;
  const std::string path = dir.file("state");
  REQUIRE(write_file_atomic(path, bytes_of("old and longer")).ok());
  CHECK(content(path) == "old and longer");
  REQUIRE(write_file_atomic(path, bytes_of("new")).ok());
  CHECK(content(path) == "new");
  REQUIRE(write_file_atomic(path, {}).ok());
  CHECK(content(path).empty());
  const auto entries = std::filesystem::directory_iterator(dir.path());
  CHECK(std::distance(begin(entries), end(entries)) == 1);
}

// The old file is another inode: a reader that has it open, or a crash, sees it whole.
TEST_CASE("file: replacing never writes into the old file") {
  const TempDir dir;
  const std::string path = dir.write("state", "old");
  std::filesystem::create_hard_link(path, dir.file("witness"));
  REQUIRE(write_file_atomic(path, bytes_of("new")).ok());
  CHECK(content(dir.file("witness")) == "old");
  CHECK(content(path) == "new");
}

TEST_CASE("file: a failed replacement keeps the old bytes and names the path") {
  const TempDir dir;
  const std::string path = dir.write("state", "old");
  std::filesystem::create_directory(path + ".tmp");  // in the way of the new bytes
  const Status status = write_file_atomic(path, bytes_of("new"));
  CHECK(status.code() == StatusCode::kFailed);
  CHECK(status.message().find(path) != std::string::npos);
  CHECK(content(path) == "old");
  CHECK(write_file_atomic(dir.file("no/such/folder"), {}).code() == StatusCode::kFailed);
}

TEST_CASE("file: a replacement that fails half way leaves nothing beside the old file") {
  const TempDir dir;
  const std::string path = dir.file("state");
  std::filesystem::create_directory(path);  // cannot be replaced by a file
  const Status status = write_file_atomic(path, bytes_of("new"));
  CHECK(status.message().starts_with(path + ": cannot replace"));
  CHECK(!std::filesystem::exists(path + ".tmp"));
}

TEST_CASE("file: a FIFO is refused at once") {
  const TempDir dir;
  const std::string path = dir.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(read_file(path).status().message() == path + ": not a regular file");
}

TEST_CASE("file: what cannot be read is refused with path and cause") {
  const TempDir dir;
  const Status missing = read_file(dir.file("none")).status();
  CHECK(missing.code() == StatusCode::kInvalid);
  CHECK(missing.message() == dir.file("none") + ": cannot open: No such file or directory");
  CHECK(read_file(dir.path()).status().message() == dir.path() + ": not a regular file");
  const std::string path = dir.write("five", "12345");
  CHECK(read_file(path, 5).ok());
  CHECK(read_file(path, 4).status().message() == path + ": 5 bytes are more than the limit of 4");
}

}  // namespace ft
