#include "runtime/store/run_directory.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/base/file.h"

namespace ft {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Result<std::string> read_text(const std::string& path) {
  FT_ASSIGN_OR_RETURN(const BufferPtr bytes, read_file(path, int64_t{1} << 30));
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

Result<std::vector<RecordEntry>> parse_record(const nlohmann::json& line, const std::string& path) {
  std::vector<RecordEntry> record;
  try {
    for (const nlohmann::json& item : line.at("record")) {
      RecordEntry entry;
      entry.first_batch = item.at("first_batch").get<int64_t>();
      entry.term = item.at("term").get<uint64_t>();
      for (const nlohmann::json& range : item.at("ranges")) {
        entry.ranges.push_back({range.at(0).get<int>(), range.at(1).get<int>()});
      }
      record.push_back(std::move(entry));
    }
  } catch (const nlohmann::json::exception& error) {
    return invalid_error("%s: not a journal of this version: %s", path.c_str(), error.what());
  }
  return record;
}

}  // namespace

RunDirectory::~RunDirectory() {
  if (events_ != nullptr) std::fclose(events_);
  if (lock_ >= 0) ::close(lock_);
}

Result<std::unique_ptr<RunDirectory>> RunDirectory::create(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return invalid_error("--run-dir %s: cannot create: %s; name a directory that you can write to",
                         path.c_str(), error.message().c_str());
  }
  std::unique_ptr<RunDirectory> directory(new RunDirectory(path));
  directory->lock_ = ::open(directory->file("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (directory->lock_ < 0) {
    return invalid_error("--run-dir %s: cannot write there: %s; name another one", path.c_str(),
                         std::strerror(errno));
  }
  if (::flock(directory->lock_, LOCK_EX | LOCK_NB) != 0) {
    return invalid_error("--run-dir %s: another ftrun uses it; choose another directory",
                         path.c_str());
  }
  if (std::filesystem::exists(directory->file("run.json"))) {
    return invalid_error("--run-dir %s: holds a run already; choose another directory",
                         path.c_str());
  }
  return directory;
}

Result<std::unique_ptr<RunDirectory>> RunDirectory::open(const std::string& path) {
  std::unique_ptr<RunDirectory> directory(new RunDirectory(path));
  if (!std::filesystem::exists(directory->file("run.json"))) {
    return invalid_error("%s: no run here (run.json is missing)", path.c_str());
  }
  return directory;
}

Status RunDirectory::write_run(const std::string& json) {
  return write_file_atomic(file("run.json"), bytes_of(json));
}

Result<std::string> RunDirectory::read_run() const { return read_text(file("run.json")); }

Status RunDirectory::write_model(const Buffer& model) {
  return write_file_atomic(file("model.onnx"), model.bytes());
}

Status RunDirectory::append_event(const std::string& json) {
  const std::string path = file("events.jsonl");
  if (events_ == nullptr) events_ = std::fopen(path.c_str(), "ae");
  if (events_ == nullptr || std::fprintf(events_, "%s\n", json.c_str()) < 0 ||
      std::fflush(events_) != 0) {
    return failed_error("%s: cannot write: %s", path.c_str(), std::strerror(errno));
  }
  return Status();
}

Status RunDirectory::append_journal(uint64_t term, const std::vector<RecordEntry>& record) {
  nlohmann::json entries = nlohmann::json::array();
  for (const RecordEntry& entry : record) {
    nlohmann::json ranges = nlohmann::json::array();
    for (const LayerRange& range : entry.ranges) ranges.push_back({range.first, range.last});
    entries.push_back(
        {{"first_batch", entry.first_batch}, {"term", entry.term}, {"ranges", ranges}});
  }
  const std::string line = nlohmann::json{{"term", term}, {"record", entries}}.dump() + "\n";
  const std::string path = file("journal.jsonl");
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return failed_error("%s: cannot open: %s", path.c_str(), std::strerror(errno));
  }
  const ssize_t written = ::write(fd, line.data(), line.size());
  const bool synced = written == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
  const int cause = errno;
  ::close(fd);
  if (!synced) return failed_error("%s: cannot write: %s", path.c_str(), std::strerror(cause));
  return Status();
}

Result<std::vector<RecordEntry>> RunDirectory::read_record() const {
  const std::string path = file("journal.jsonl");
  FT_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  std::istringstream lines(text);
  std::string line;
  nlohmann::json last;
  while (std::getline(lines, line)) {
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_discarded()) last = std::move(parsed);
  }
  return parse_record(last, path);
}

}  // namespace ft
