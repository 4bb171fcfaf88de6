#include "runtime/node/board_profile.h"

#include <set>
#include <toml++/toml.h>

#include "runtime/node/option_units.h"

namespace ft {
namespace {

// Takes the keys of a profile one by one; what is left over at the end is unknown.
class Reader {
 public:
  Reader(const std::string& name, toml::table table) : name_(name), table_(std::move(table)) {}

  void text(const char* key, bool needed, std::string* value) {
    const toml::node* node = take(key, needed);
    if (node == nullptr) return;
    if (!node->is_string()) return fail(key, "must be a text in quotes");
    *value = *node->value<std::string>();
  }
  void texts(const char* key, std::vector<std::string>* values) {
    const toml::node* node = take(key, false);
    if (node == nullptr) return;
    if (!node->is_array()) return fail(key, "must be a list of texts");
    for (const toml::node& item : *node->as_array()) {
      if (!item.is_string() || item.value<std::string>()->empty()) {
        return fail(key, "must be a list of texts");
      }
      values->push_back(*item.value<std::string>());
    }
  }
  void number(const char* key, double least, double most, double* value) {
    const toml::node* node = take(key, true);
    if (node == nullptr) return;
    *value = node->is_number() ? *node->value<double>() : least - 1;
    if (!(*value >= least && *value <= most)) {
      fail(key, format("must be a number from %g to %g", least, most));
    }
  }
  void count(const char* key, int least, int most, int* value) {
    double read = 0;
    number(key, least, most, &read);
    *value = static_cast<int>(read);
    if (*value != read) fail(key, "must be a whole number");
  }
  void bytes(const char* key, int64_t* value) {
    std::string written;
    text(key, true, &written);
    const Result<int64_t> read = parse_bytes(written);
    if (!read.ok()) return fail(key, read.status().message());
    *value = *read;
  }
  void file(const char* key, std::string* value) {
    text(key, false, value);
    if (!value->empty() && value->rfind("/sys/", 0) != 0) fail(key, "must be a file below /sys/");
  }
  void one_of(const char* key, const std::set<std::string>& words, std::string* value) {
    text(key, true, value);
    std::string all;
    for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
    if (words.count(*value) == 0) fail(key, "must be one of " + all);
  }
  Status end() {
    if (status_.ok() && !table_.empty()) {
      fail(std::string(table_.begin()->first.str()).c_str(), "unknown key");
    }
    return status_;
  }

 private:
  const toml::node* take(const char* key, bool needed) {
    const auto found = table_.find(key);
    if (found == table_.end()) {
      if (needed) fail(key, "is missing");
      return nullptr;
    }
    taken_.insert(key, std::move(found->second));
    table_.erase(key);
    return taken_.get(key);
  }
  void fail(const char* key, const std::string& what) {
    if (!status_.ok()) return;
    status_ = invalid_error("board profile %s: %s: %s", name_.c_str(), key, what.c_str());
  }

  std::string name_;
  toml::table table_;
  toml::table taken_;
  Status status_;
};

Result<Board> read(const std::string& name, toml::table table) {
  Reader reader(name, std::move(table));
  Board board;
  board.name = name;
  reader.text("title", true, &board.title);
  reader.one_of("tier", {"emulated", "measured"}, &board.tier);
  reader.one_of("architecture", {"aarch64", "armhf"}, &board.architecture);
  reader.texts("models", &board.models);
  reader.texts("parts", &board.parts);
  reader.count("cores", 1, 256, &board.cores);
  reader.count("threads", 0, 256, &board.threads);
  reader.bytes("memory", &board.memory_bytes);
  reader.bytes("reserve", &board.reserve_bytes);
  reader.text("blas_core", true, &board.blas_core);
  reader.number("peak_gflops", 0.1, 1e5, &board.peak_gflops);
  reader.file("temperature", &board.temperature);
  reader.file("throttled", &board.throttled);
  reader.file("power", &board.power);
  reader.text("flags", true, &board.flags);
  reader.text("qemu_cpu", true, &board.qemu_cpu);
  FT_RETURN_IF_ERROR(reader.end());
  if (board.reserve_bytes >= board.memory_bytes) {
    return invalid_error("board profile %s: reserve: must be below memory", name.c_str());
  }
  return board;
}

}  // namespace

Result<Board> parse_board(const BoardText& profile) {
  try {
    return read(profile.name, toml::parse(profile.text));
  } catch (const toml::parse_error& problem) {
    return invalid_error("board profile %s: line %u: %s", profile.name.c_str(),
                         problem.source().begin.line, std::string(problem.description()).c_str());
  }
}

}  // namespace ft
