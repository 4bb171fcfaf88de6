#include "runtime/store/run_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <limits>
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

constexpr uint64_t kTermMax = uint64_t{1} << 62;

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
  } catch (const nlohmann::json::exception&) {
    return invalid_error(
        "%s: damaged, or of another version: a record without first_batch, term and ranges; put a "
        "copy of it there",
        path.c_str());
  }
  return record;
}

}  // namespace

RunDirectory::~RunDirectory() {
  if (events_ != nullptr) std::fclose(events_);
  if (lock_ >= 0) ::close(lock_);
}

Result<std::unique_ptr<RunDirectory>> RunDirectory::lock(const std::string& path) {
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
    return invalid_error(
        "--run-dir %s: another ftrun uses it; wait for its end, or choose another directory",
        path.c_str());
  }
  return directory;
}

Result<std::unique_ptr<RunDirectory>> RunDirectory::create(const std::string& path) {
  FT_ASSIGN_OR_RETURN(auto directory, lock(path));
  if (directory->has_run()) {
    return invalid_error(
        "--run-dir %s: holds a run already; go on with it (--resume) or choose another directory",
        path.c_str());
  }
  return directory;
}

Result<std::unique_ptr<RunDirectory>> RunDirectory::resume(const std::string& path) {
  return lock(path);
}

bool RunDirectory::has_run() const { return std::filesystem::exists(file("run.json")); }

Result<std::unique_ptr<RunDirectory>> RunDirectory::open(const std::string& path) {
  std::unique_ptr<RunDirectory> directory(new RunDirectory(path));
  if (!directory->has_run()) {
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
  if (events_ == nullptr) {
    events_ = std::fopen(path.c_str(), "a+e");
    // A line that a crash has torn is ended first.
    if (events_ != nullptr && std::fseek(events_, -1, SEEK_END) == 0 &&
        std::fgetc(events_) != '\n') {
      std::fputc('\n', events_);
    }
  }
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
  return append_line_synced(file("journal.jsonl"),
                            nlohmann::json{{"term", term}, {"record", entries}}.dump());
}

Status RunDirectory::with_remedy(const Status& written) const {
  if (written.ok()) return written;
  return failed_error(
      "%s; make room there, then go on, with the role as before: ftrun --resume --run-dir %s",
      written.message().c_str(), path_.c_str());
}

Result<Journal> RunDirectory::read_journal() const {
  const std::string path = file("journal.jsonl");
  Journal journal;
  if (!std::filesystem::exists(path)) return journal;
  FT_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  std::istringstream lines(text);
  std::string line;
  nlohmann::json last;
  while (std::getline(lines, line)) {
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_discarded()) last = std::move(parsed);
  }
  if (last.is_null()) return journal;
  if (!last.is_object() || !last.value("term", nlohmann::json()).is_number_unsigned()) {
    return invalid_error("%s: not a journal of this version: a line without a term", path.c_str());
  }
  journal.term = last["term"].get<uint64_t>();
  FT_ASSIGN_OR_RETURN(journal.record, parse_record(last, path));
  const uint64_t newest = journal.record.empty() ? 0 : journal.record.back().term;
  if (std::max(journal.term, newest) > kTermMax) {
    return invalid_error("%s: a term that no run reaches: the journal is damaged", path.c_str());
  }
  return journal;
}

ReportedProgress RunDirectory::read_progress() const {
  ReportedProgress progress;
  std::ifstream lines(file("events.jsonl"));
  std::string line;
  while (std::getline(lines, line)) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const nlohmann::json kind = json.value("event", nlohmann::json());
    const char* at = kind == "reconfigured" ? "resume_batch" : "batch";
    if (!json.value(at, nlohmann::json()).is_number_integer()) continue;
    const int64_t batch = json[at].get<int64_t>();
    const auto number = [&json](const char* key) {
      const nlohmann::json value = json.value(key, nlohmann::json());
      return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    };
    if (kind == "reconfigured") {
      progress.finished = batch - 1;
    } else if (kind == "batch") {
      progress.finished = batch;
      if (batch < progress.batch) continue;
      progress.batch = batch;
      progress.loss = number("loss");
    } else if (kind == "evaluated" && batch >= progress.evaluated) {
      progress.evaluated = batch;
      progress.epoch = static_cast<int64_t>(number("epoch"));
      progress.evaluation_loss = number("loss");
      progress.accuracy = number("accuracy");
    }
  }
  return progress;
}

void RunDirectory::read_losses(const std::function<void(int64_t batch, double loss)>& take) const {
  std::ifstream lines(file("events.jsonl"));
  std::string line;
  while (std::getline(lines, line)) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || json.value("event", nlohmann::json()) != "batch") continue;
    const nlohmann::json batch = json.value("batch", nlohmann::json());
    const nlohmann::json loss = json.value("loss", nlohmann::json());
    if (batch.is_number_integer() && loss.is_number())
      take(batch.get<int64_t>(), loss.get<double>());
  }
}

}  // namespace ft
