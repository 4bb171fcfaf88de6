#include "runtime/node/board.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace ft {
namespace {

constexpr size_t kProbeBytesMax = 16384;
constexpr size_t kModelBytesMax = 100;
// Holds the core type that ftrun itself has set.
constexpr const char* kBlasMark = "FTRUN_BLAS_CORE";

// The beginning of a file of the system; empty when there is none. Sizes in /proc are 0.
std::string probe(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  std::string text(kProbeBytesMax, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

// The first line, fit for a terminal. The device tree ends its texts with NUL.
std::string first_line(const std::string& path) {
  std::string line = probe(path);
  line.resize(std::min({line.find('\0'), line.find('\n'), line.size(), kModelBytesMax}));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return line;
}

// The value of "KEY : VALUE" in /proc/cpuinfo or /proc/meminfo; the first of that name.
std::string value_of(const std::string& text, const std::string& key) {
  const size_t at = text.rfind(key, 0) == 0 ? 0 : text.find("\n" + key);
  if (at == std::string::npos) return "";
  const size_t end = std::min(text.find('\n', at + 1), text.size());
  const size_t colon = text.find(':', at);
  if (colon >= end) return "";
  const size_t from = text.find_first_not_of(" \t", colon + 1);
  return from >= end ? "" : text.substr(from, end - from);
}

std::string built_for() {
#if defined(__aarch64__)
  return "aarch64";
#elif defined(__arm__)
  return "armhf";
#else
  return "";
#endif
}

bool has_prefix_of(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.rfind(prefix, 0) == 0; });
}

bool recognise(const std::string& model, const std::string& part, FoundBoard* found) {
  if (has_prefix_of(model, found->board.models)) {
    found->reason = "device tree '" + model + "'";
    return true;
  }
  const std::vector<std::string>& parts = found->board.parts;
  if (built_for() != found->board.architecture) return false;
  if (std::find(parts.begin(), parts.end(), part) == parts.end()) return false;
  found->reason = "CPU part " + part;
  return true;
}

std::string gigabytes(int64_t bytes) { return format("%.1f GB", static_cast<double>(bytes) / 1e9); }

}  // namespace

Result<std::optional<FoundBoard>> find_board(const std::string& wanted, const std::string& root) {
  std::optional<FoundBoard> best;
  if (wanted == "none") return best;
  const std::string model = first_line(root + "/proc/device-tree/model");
  const std::string part = value_of(probe(root + "/proc/cpuinfo"), "CPU part");
  const std::string total = value_of(probe(root + "/proc/meminfo"), "MemTotal");
  std::string names;
  for (const BoardText& text : board_texts()) {
    FoundBoard found;
    FT_ASSIGN_OR_RETURN(found.board, parse_board(text));
    names += found.board.name + ", ";
    found.total_bytes = std::atoll(total.c_str()) * 1024;
    if (found.total_bytes <= 0) found.total_bytes = found.board.memory_bytes;
    if (wanted == found.board.name) {
      found.reason = "--board";
    } else if (!wanted.empty() || !recognise(model, part, &found)) {
      continue;
    }
    // The device tree says more than the CPU.
    if (!best || best->board.models.empty()) best = std::move(found);
  }
  if (best || wanted.empty()) return best;
  return invalid_error("--board %s: unknown; known: %snone", wanted.c_str(), names.c_str());
}

Result<std::string> apply_board(const FoundBoard& found, Options* options) {
  const Board& board = found.board;
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const bool local = options->role == Role::kLocal;  // divides the machine among its processes
  std::string took;
  if (options->threads > 0) {
    took = format("%d threads (--threads)", options->threads);
  } else {
    const int threads = board.threads > 0 ? std::min(board.threads, cores) : cores;
    if (!local) options->threads = threads;
    took = format("%d thread%s", threads, threads == 1 ? "" : "s");
  }
  if (options->memory_bytes > 0) {
    took += ", " + gigabytes(options->memory_bytes) + " for training (--memory)";
  } else if (!local) {
    if (found.total_bytes <= board.reserve_bytes) {
      return invalid_error(
          "board %s: the machine has %s, of which the system keeps %s: nothing is left for "
          "training; --memory BYTES overrides",
          board.name.c_str(), gigabytes(found.total_bytes).c_str(),
          gigabytes(board.reserve_bytes).c_str());
    }
    options->memory_bytes = found.total_bytes - board.reserve_bytes;
    took += ", " + gigabytes(options->memory_bytes) + " for training";
  }
  const char* core = std::getenv("OPENBLAS_CORETYPE");
  if (core != nullptr && *core != '\0') {
    const char* own = std::getenv(kBlasMark);
    const bool users = own == nullptr || std::string(own) != core;
    took += format(", BLAS core %s%s", core, users ? " (OPENBLAS_CORETYPE)" : "");
  }
  return format("board: %s (%s): %s", board.title.c_str(), found.reason.c_str(), took.c_str());
}

void restart_with_blas_core(const std::string& core, char** argv) {
  if (core.empty() || std::getenv(kBlasMark) != nullptr) return;
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
  ::setenv("OPENBLAS_CORETYPE", core.c_str(), 0);
  ::setenv(kBlasMark, core.c_str(), 0);
  ::execv(own_program().c_str(), argv);
  // As before, then: slower perhaps, but as right. The variable would only mislead.
  ::unsetenv("OPENBLAS_CORETYPE");
}

std::string board_state(const Board& board, const std::string& root) {
  std::string state;
  const auto add = [&](const std::string& text) { state += (state.empty() ? "" : ", ") + text; };
  const auto read = [&](const std::string& file) {
    return file.empty() ? "" : first_line(root + file);
  };
  const std::string temperature = read(board.temperature);
  if (!temperature.empty()) add(format("%.1f degrees", std::atof(temperature.c_str()) / 1000));
  const std::string throttled = read(board.throttled);
  if (!throttled.empty()) {
    const unsigned long bits = std::strtoul(throttled.c_str(), nullptr, 16);
    // Raspberry Pi's firmware: the low bits are now, those from 16 on since it started.
    add((bits & 0xF) != 0 ? "throttled now" : bits != 0 ? "was throttled" : "not throttled");
  }
  const std::string power = read(board.power);
  if (!power.empty()) add(format("%.1f W", std::atof(power.c_str()) / 1000));
  return state;
}

std::string own_program() {
  const char* launcher = std::getenv("FTRUN_LAUNCHER");
  return launcher != nullptr && launcher[0] == '/' ? launcher : "/proc/self/exe";
}

}  // namespace ft
