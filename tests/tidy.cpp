#include "tests/tidy.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace ft::tidy {
namespace {

using Strings = std::vector<std::string>;

constexpr size_t kColumnsMax = 100;
constexpr size_t kLinesMax = 500;

// DESIGN 5. A folder may include itself and what stands here: a folder, or a single header.
const std::map<std::string, Strings> kAllowed = {
    {"runtime/base", {}},
    {"kernels", {"runtime/base"}},
    {"onnx_import", {"runtime/base", "kernels"}},
    {"partition", {"runtime/base"}},
    {"net", {"runtime/base"}},
    {"runtime/exec", {"runtime/base", "kernels", "onnx_import"}},
    {"runtime/data", {"runtime/base", "kernels"}},
    {"runtime/store", {"runtime/base"}},
    {"runtime/observe", {"runtime/base", "runtime/pipeline/report.h"}},
    {"runtime/pipeline",
     {"runtime/base", "partition", "net/message.pb.h", "net/bulk.h", "net/detector.h"}},
    {"runtime/node",
     {"runtime/base", "kernels", "onnx_import", "partition", "net", "runtime/exec", "runtime/data",
      "runtime/store", "runtime/observe", "runtime/pipeline"}},
};

// A library's types and exceptions stop in one .h/.cpp pair.
const std::set<std::string> kOneOwnerHeaders = {"onnx.pb.h", "zmq.hpp",  "zmq.h", "cblas.h",
                                                "sodium.h",  "xxhash.h", "zlib.h"};

// step(event, now) -> actions: no clock, thread, socket, file, hash order.
const std::set<std::string> kPureFolders = {"runtime/pipeline", "partition"};
const std::regex kImpureHeaders(
    "thread|mutex|shared_mutex|condition_variable|future|semaphore|atomic|pthread.h|chrono|ctime|"
    "time.h|fstream|iostream|filesystem|unistd.h|fcntl.h|poll.h|sys/.*|runtime/base/file.h|random|"
    "unordered_map|unordered_set");
const std::regex kImpureCalls(R"(\b(monotonic_now_us|thread_cpu_now_us|random_u64)\b)");

// Results here are functions of seed and record: nothing that differs between libraries or runs.
const std::set<std::string> kReproducibleFolders = {"kernels", "runtime/pipeline", "partition",
                                                    "runtime/data", "runtime/exec"};
const std::regex kIrreproducible(R"(\bs?rand\s*\(|\bstd::\w+_distribution\b|\bstd::unordered_\w+)");

// The brackets keep this file from finding itself.
const std::regex kUnfinished(R"(\b([T]ODO|[F]IXME|[X]XX)\b)");

struct Include {
  size_t line;
  std::string target;
  bool quoted;
};

Strings lines_of(const std::string& text) {
  Strings lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Without string literals and // comments: what a rule about code looks at.
std::string code_of(const std::string& line) {
  static const std::regex kLiteral(R"("(\\.|[^"\\])*")");
  const std::string bare = std::regex_replace(line, kLiteral, "\"\"");
  return bare.substr(0, bare.find("//"));
}

std::vector<Include> includes_of(const Source& source) {
  static const std::regex kPattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> includes;
  const Strings lines = lines_of(source.text);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (!std::regex_match(lines[i], match, kPattern)) continue;
    includes.push_back({i + 1, match[2], match[1] == "\""});
  }
  return includes;
}

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

// The product folder that holds `path`; empty when none does.
std::string folder_of(const std::string& path) {
  for (const auto& [folder, allowed] : kAllowed) {
    if (is_below(path, folder)) return folder;
  }
  return "";
}

std::string basename_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

size_t columns_of(const std::string& line) {  // UTF-8's continuation bytes take no column
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

class Tidy {
 public:
  Strings check_all(const std::vector<Source>& sources) {
    for (const Source& source : sources) {
      check_shape(source);
      if (folder_of(source.path).empty()) continue;  // tests, bench: free to include anything
      check_includes(source);
      check_code(source);
    }
    for (const auto& [header, owners] : owners_) check_owners(header, owners);
    return problems_;
  }

 private:
  using Owners = std::map<std::string, std::string>;  // stem -> where

  void report(const Source& source, size_t line, const std::string& text) {
    problems_.push_back(source.path + ":" + std::to_string(line) + ": " + text);
  }

  void check_shape(const Source& source) {
    const Strings lines = lines_of(source.text);
    for (size_t i = 0; i < lines.size(); ++i) {
      if (columns_of(lines[i]) > kColumnsMax) {
        report(source, i + 1, "columns: the line ends beyond column 100");
      }
      if (std::regex_search(lines[i], kUnfinished)) {
        report(source, i + 1, "unfinished: do it, or write down the limit in the contract");
      }
    }
    const bool header = source.path.ends_with(".h");
    if (header && source.text.find("#pragma once") == std::string::npos) {
      report(source, 1,
             "pragma: a header starts with #pragma once, or says why not in a comment that "
             "starts with 'No #pragma once'");
    }
    if (!folder_of(source.path).empty() && lines.size() > kLinesMax) {
      report(source, lines.size(), "lines: more than 500 lines; split by noun");
    }
    if (source.path.ends_with("_test.cpp") && source.text.find("TEST_CASE") == std::string::npos) {
      report(source, 1, "empty-test: a test file without TEST_CASE tests nothing");
    }
  }

  void check_includes(const Source& source) {
    const std::string folder = folder_of(source.path);
    const std::string stem = source.path.substr(0, source.path.rfind('.'));
    for (const Include& include : includes_of(source)) {
      const std::string name = basename_of(include.target);
      if (kOneOwnerHeaders.contains(name)) {
        owners_[name].emplace(stem, source.path + ":" + std::to_string(include.line));
        continue;
      }
      if (kPureFolders.contains(folder) && std::regex_match(include.target, kImpureHeaders)) {
        report(source, include.line,
               "pure: " + folder + " must not use " + include.target + " (DESIGN 5)");
        continue;
      }
      const bool ours = !folder_of(include.target).empty();
      if (include.quoted != ours) {
        report(source, include.line,
               ours ? "include: the project's own headers stand in quotes"
                    : "include: \"" + include.target +
                          "\" is no product header from the root; libraries stand in <>");
      }
      if (!ours || is_below(include.target, folder)) continue;
      const Strings& allowed = kAllowed.at(folder);
      const bool fine = std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) {
        return is_below(include.target, entry);
      });
      if (!fine) {
        report(source, include.line,
               "edge: " + folder + " must not include " + include.target + " (DESIGN 5)");
      }
    }
  }

  void check_code(const Source& source) {
    const std::string folder = folder_of(source.path);
    const Strings lines = lines_of(source.text);
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string code = code_of(lines[i]);
      std::smatch match;
      if (kReproducibleFolders.contains(folder) &&
          std::regex_search(code, match, kIrreproducible)) {
        report(source, i + 1,
               "reproducible: " + match.str() + " differs between libraries or runs; use " +
                   "runtime/base/random.h, or an ordered container");
      }
      if (kPureFolders.contains(folder) && std::regex_search(code, match, kImpureCalls)) {
        report(source, i + 1, "pure: " + match.str() + " is the shell's to call; take it as input");
      }
    }
  }

  void check_owners(const std::string& header, const Owners& owners) {
    if (owners.size() < 2) return;
    const std::string text = ": one-owner: " + header +
                             " is included by more than one file pair (DESIGN 5); keep its types "
                             "in one and give the others an interface";
    for (const auto& [stem, where] : owners) problems_.push_back(where + text);
  }

  Strings problems_;
  std::map<std::string, Owners> owners_;  // by header
};

}  // namespace

std::vector<Source> read_repository() {
  namespace fs = std::filesystem;
  const fs::path root = FT_SOURCE_DIR;
  Strings folders = {"tests", "bench"};
  for (const auto& [folder, allowed] : kAllowed) folders.push_back(folder);
  std::vector<Source> sources;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      std::ostringstream text;
      text << stream.rdbuf();
      sources.push_back({fs::relative(entry.path(), root).string(), text.str()});
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

std::vector<std::string> check(const std::vector<Source>& sources) {
  return Tidy().check_all(sources);
}

}  // namespace ft::tidy
