// The repository keeps the rules, and each rule finds a violation planted for it.

#include "tests/tidy.h"

#include <doctest/doctest.h>

namespace ft::tidy {
namespace {

// Exactly one problem, at `place`: "LINE: RULE".
bool finds(const std::string& path, const std::string& source, const std::string& place) {
  const std::vector<std::string> problems = check({{path, source}});
  if (problems.size() == 1 && problems[0].starts_with(path + ":" + place)) return true;
  for (const std::string& problem : problems) MESSAGE("instead: " << problem);
  return false;
}

bool passes(const std::string& path, const std::string& source) {
  const std::vector<std::string> problems = check({{path, source}});
  for (const std::string& problem : problems) MESSAGE(problem);
  return problems.empty();
}

}  // namespace

TEST_CASE("tidy: the repository keeps the rules") {
  const std::vector<Source> sources = read_repository();
  CHECK(sources.size() > 30);  // it did look
  for (const std::string& problem : check(sources)) FAIL_CHECK(problem);
}

TEST_CASE("tidy: includes follow the table of folders") {
  CHECK(finds("kernels/a.cpp", "\n#include \"onnx_import/model.h\"\n", "2: edge: kernels"));
  CHECK(finds("runtime/base/a.cpp", "#include \"kernels/op.h\"", "1: edge"));
  CHECK(finds("partition/a.cpp", "#include \"net/bulk.h\"", "1: edge"));
  CHECK(finds("runtime/exec/a.cpp", "#include \"runtime/data/order.h\"", "1: edge"));
  CHECK(finds("runtime/pipeline/a.cpp", "#include \"net/transport.h\"", "1: edge"));
  CHECK(finds("runtime/pipeline/a.cpp", "#include \"kernels/op.h\"", "1: edge"));
  CHECK(passes("runtime/pipeline/a.cpp",
               "#include \"net/message.pb.h\"\n#include \"net/bulk.h\"\n"
               "#include \"net/detector.h\"\n"
               "#include \"partition/plan.h\"\n"
               "#include \"runtime/base/clock.h\"\n"));
  CHECK(passes("runtime/exec/a.cpp", "#include \"onnx_import/model.h\"\n"));
  CHECK(passes("runtime/node/a.cpp", "#include \"net/transport.h\"\n#include <thread>\n"));
  CHECK(finds("kernels/a.cpp", "#include \"tensor.h\"", "1: include"));
  CHECK(finds("kernels/a.cpp", "#include <kernels/tensor.h>", "1: include"));
  CHECK(finds("kernels/a.cpp", "#include \"tests/base/temp_dir.h\"", "1: include"));
}

TEST_CASE("tidy: the pure parts see no clock, thread, file or hash order") {
  for (const char* header :
       {"thread", "mutex", "fstream", "chrono", "random", "sys/socket.h", "unordered_map"}) {
    const std::string line = std::string("#include <") + header + ">";
    CHECK(finds("runtime/pipeline/a.h", "#pragma once\n" + line, "2: pure"));
    CHECK(passes("runtime/node/a.cpp", line));
  }
  CHECK(finds("runtime/pipeline/a.cpp", "#include \"runtime/base/file.h\"", "1: pure"));
  CHECK(finds("partition/a.cpp", "auto t = monotonic_now_us();", "1: pure"));
  CHECK(passes("runtime/pipeline/a.cpp", "// never monotonic_now_us()\nTimeUs now = 0;"));
}

TEST_CASE("tidy: nothing irreproducible where results are made") {
  for (const char* folder :
       {"kernels", "runtime/pipeline", "partition", "runtime/data", "runtime/exec"}) {
    const std::string path = std::string(folder) + "/a.cpp";
    CHECK(finds(path, "int x = rand();", "1: reproducible"));
    CHECK(finds(path, "std::normal_distribution<float> d;", "1: reproducible"));
    CHECK(finds(path, "std::unordered_map<int, int> m;", "1: reproducible"));
    CHECK(passes(path, "// no std::unordered_map\nconst char* s = \"rand()\"; int brand(int);"));
  }
}

TEST_CASE("tidy: a library's header has one owner, a pair of files") {
  const Source pair_h = {"kernels/gemm.h", "#pragma once\n#include <cblas.h>\n"};
  const Source pair_cpp = {"kernels/gemm.cpp", "#include <cblas.h>\n"};
  const Source other = {"kernels/op_conv.cpp", "\n#include \"openblas/cblas.h\"\n"};
  CHECK(check({pair_h, pair_cpp}).empty());
  const std::vector<std::string> problems = check({pair_h, pair_cpp, other});
  REQUIRE(problems.size() == 2);
  CHECK(problems[1].starts_with("kernels/op_conv.cpp:2: one-owner: cblas.h"));
}

TEST_CASE("tidy: the shape of a file") {
  CHECK(passes("net/a.cpp", std::string(100, 'x')));
  CHECK(finds("net/a.cpp", "\n" + std::string(101, 'x'), "2: columns"));
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "\xC3\xA9";
  CHECK(passes("net/a.cpp", accents));
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += "x\n";
  CHECK(passes("net/a.cpp", lines));
  CHECK(finds("net/a.cpp", lines + "x\n", "501: lines"));
  CHECK(finds("net/a.h", "int x;", "1: pragma"));
  CHECK(passes("net/a.h", "// No #pragma once: each instruction set includes it.\nint x;"));
  CHECK(finds("net/a.cpp", std::string("// FIX") + "ME: later", "1: unfinished"));
  CHECK(passes("net/a.cpp", "const char* pattern = \"/tmp/ft-XXXXXX\";"));
  CHECK(finds("tests/net/a_test.cpp", "int main() {}", "1: empty-test"));
}

}  // namespace ft::tidy
