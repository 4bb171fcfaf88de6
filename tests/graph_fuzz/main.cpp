// graph_fuzz: random graphs through importer, compiler and trainers. `graph_fuzz --help` says how.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/base/log.h"
#include "tests/graph_fuzz/generators.h"
#include "tests/graph_fuzz/shrink.h"

namespace ft::fuzz {
namespace {

constexpr const char* kUsage =
    "usage: graph_fuzz --seed N [--runs K] [--keep-going] [--counts] [--show] [--write FILE]\n"
    "                  [--no-shrink] [--plant OP]\n"
    "  --runs K       graphs of seeds N to N + K - 1 (1)\n"
    "  --keep-going   does not stop at the first failure\n"
    "  --counts       how often each operator was drawn, and its gradients compared\n"
    "  --show         prints each graph\n"
    "  --write FILE   writes the last graph that failed, or else the last one, as ONNX\n"
    "  --no-shrink    prints failing graphs as they were drawn\n"
    "  --plant OP     a fault in the judge: what OP hands back has the wrong sign; must be found\n";

struct Options {
  uint64_t seed = 1;
  int64_t runs = 1;
  bool keep_going = false;
  bool counts = false;
  bool show = false;
  bool shrinks = true;
  std::string file;
  std::string planted;
};

void print_ops(const Counts& counts) {
  const auto ops = op_table();
  for (size_t i = 0; i < ops.size(); ++i) {
    std::printf("%-20s %8lld drawn %8lld compared\n", ops[i].name,
                static_cast<long long>(counts.drawn[i]),
                static_cast<long long>(counts.compared[i]));
  }
}

void print_totals(const Counts& counts) {
  std::printf(
      "graph_fuzz: %lld graphs, %lld nodes, %lld trainings, %lld gradients compared; "
      "not compared: %lld graphs near a jump, %lld tensors too sharp, %lld graphs run "
      "away; %lld failures\n",
      static_cast<long long>(counts.graphs), static_cast<long long>(counts.nodes),
      static_cast<long long>(counts.runs), static_cast<long long>(counts.tensors),
      static_cast<long long>(counts.near_a_jump), static_cast<long long>(counts.too_sharp),
      static_cast<long long>(counts.run_away), static_cast<long long>(counts.failures));
}

void report(const Options& options, const CaseOptions& chosen, const Verdict& verdict,
            Graph* graph) {
  std::fprintf(stderr, "graph_fuzz: seed %llu: %s: %s\n",
               static_cast<unsigned long long>(chosen.seed), verdict.kind.c_str(),
               verdict.text.c_str());
  if (options.shrinks) {
    *graph = shrink(*graph, chosen, verdict.kind);
    Counts ignored;
    const Verdict small = check_contained(*graph, chosen, &ignored);
    std::fprintf(stderr, "smallest: %s: %s\n", small.kind.c_str(), small.text.c_str());
  }
  std::fputs(describe_graph(*graph).c_str(), stderr);
}

bool write(const Options& options, const CaseOptions& chosen, const Graph& graph) {
  const std::vector<std::byte> bytes = file_of(graph, chosen);
  std::FILE* const file = std::fopen(options.file.c_str(), "wb");
  const bool written =
      file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (written && closed) return true;
  std::fprintf(stderr, "graph_fuzz: %s cannot be written\n", options.file.c_str());
  return false;
}

int run(const Options& options) {
  Counts totals;
  Graph last;
  CaseOptions last_case;
  bool has_failed = false;
  for (int64_t i = 0; i < options.runs; ++i) {
    CaseOptions chosen;
    chosen.seed = options.seed + static_cast<uint64_t>(i);
    chosen.planted = options.planted;
    Graph graph = draw_graph(chosen.seed);
    if (options.show) std::fputs(describe_graph(graph).c_str(), stdout);
    const Verdict verdict = check_contained(graph, chosen, &totals);
    if (verdict.failed()) report(options, chosen, verdict, &graph);
    if (verdict.failed() || !has_failed) {
      last = graph;
      last_case = chosen;
    }
    has_failed = has_failed || verdict.failed();
    if (verdict.failed() && !options.keep_going) break;
  }
  if (options.counts) print_ops(totals);
  print_totals(totals);
  if (!options.file.empty() && !write(options, last_case, last)) return 2;
  return has_failed ? 1 : 0;
}

int main_of(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    const bool has_value = i + 1 < arguments.size();
    if (option == "--seed" && has_value) {
      options.seed = std::strtoull(arguments[++i].c_str(), nullptr, 10);
    } else if (option == "--runs" && has_value) {
      options.runs = std::strtoll(arguments[++i].c_str(), nullptr, 10);
    } else if (option == "--write" && has_value) {
      options.file = arguments[++i];
    } else if (option == "--plant" && has_value) {
      options.planted = arguments[++i];
    } else if (option == "--keep-going") {
      options.keep_going = true;
    } else if (option == "--counts") {
      options.counts = true;
    } else if (option == "--show") {
      options.show = true;
    } else if (option == "--no-shrink") {
      options.shrinks = false;
    } else {
      std::fputs(kUsage, option == "--help" ? stdout : stderr);
      return option == "--help" ? 0 : 2;
    }
  }
  return run(options);
}

}  // namespace
}  // namespace ft::fuzz

int main(int count, char** values) {
  ft::set_log_level(ft::LogLevel::kError);
  return ft::fuzz::main_of(std::vector<std::string>(values + 1, values + count));
}
