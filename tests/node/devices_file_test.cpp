#include "runtime/node/devices_file.h"

#include <cmath>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

#include "runtime/node/slowdown.h"

namespace {

std::string write(const std::string& text) {
  const std::string path = std::filesystem::temp_directory_path() / "ftrun-devices-test.toml";
  std::ofstream(path) << text;
  return path;
}

ft::Result<ft::DevicesFile> read(const std::string& text) {
  return ft::read_devices_file(write(text));
}

constexpr const char* kThree = R"(
[[device]]
name = "laptop"
[[device]]
name = "pi4"
capacity = 0.1
memory = "1GB"
rate = "10MB/s"
latency = "1ms"
[[device]]
name = "pi3"
capacity = 1
rate = "4MB/s"
[[link]]
between = ["pi3", "laptop"]
rate = "2MB/s"
latency = "5ms"
[[link]]
between = ["pi4", "pi3"]
reachable = false
)";

}  // namespace

TEST_CASE("devices file: devices, their networks, and links that differ from these") {
  const auto file = read(kThree);
  REQUIRE(file.ok());
  REQUIRE(file->devices.size() == 3);
  CHECK(file->devices[0].name == "laptop");
  CHECK(file->devices[0].memory_bytes == 0);
  CHECK(file->devices[1].capacity == 0.1);
  CHECK(file->devices[1].memory_bytes == 1'000'000'000);
  CHECK(file->links[0][1].bytes_per_us == 10);
  CHECK(file->links[0][1].latency_us == 1000);
  CHECK(file->links[0][2].bytes_per_us == 2);
  CHECK(file->links[2][0].latency_us == 5000);
  CHECK(file->unreachable.count({1, 2}) == 1);
}

TEST_CASE("devices file: what is wrong is named with its place") {
  const struct {
    const char* text;
    const char* complaint;
  } kCases[] = {
      {"", "no [[device]]"},
      {"[[device]]\ncapacity = 1", "device 1: has no name"},
      {"[[device]]\nname = \"a\"\n[[device]]\nname = \"a\"", "device 'a': there are two"},
      {"[[device]]\nname = \"a\"\ncapacity = 0", "device 'a': capacity"},
      {"[[device]]\nname = \"a\"\ncapacity = 1e9", "up to 10000"},
      {"[[device]]\nname = \"\\u001b[31m\"", "device 1: its name has characters"},
      {"[[device]]\nname = \"a\"\n[[link]]\nbetween = [\"a\", \"b\", \"a\"]",
       "must name two devices"},
      {"[[device]]\nname = \"a\"\n[[device]]\nname = \"b\"\n[[link]]\nbetween = [\"a\", "
       "\"b\"]\n[[link]]\nbetween = [\"b\", \"a\"]",
       "there are two between"},
      {"[[device]]\nname = \"a\"\ncapacity = \"fast\"", "device 'a': capacity"},
      {"[[device]]\nname = \"a\"\nmemory = 64", "memory must be a text"},
      {"[[device]]\nname = \"a\"\nmemory = \"\"", "device 'a': memory is empty"},
      {"[[device]]\nname = \"a\"\nrate = \"\"", "device 'a': rate is empty"},
      {"[[device]]\nname = \"a\"\n[[link]]\nbetween = [1, 2]", "two devices in quotes"},
      {"[[device]]\nname = \"a\"\nmemory = \"64XB\"", "is no size"},
      {"[[device]]\nname = \"a\"\nrate = \"2MB\"", "is no rate"},
      {"[[device]]\nname = \"a\"\nspeed = 1", "unknown key 'speed'"},
      {"[[device]]\nname = \"a\"\n[[link]]\nbetween = [\"a\", \"b\"]", "there is no 'b'"},
      {"[[device]]\nname = \"a\"\n[[link]]\nbetween = [\"a\", \"a\"]", "twice"},
      {"[device]\nname = \"a\"", "no [[device]], but another device: write two brackets"},
      {"link = 5\n[[device]]\nname = \"a\"", "no [[link]], but another link: write two brackets"},
      {"[[device]]\nname = \"a\"\ncapacity = 5e-324", "from 0.0001"},
      {"[[device]]\nname = \"a\"\n[[device]]\nname = \"b\"\n[[link]]\nbetween = [\"a\", "
       "\"b\"]\nreachable = \"no\"",
       "reachable must be true or false"},
      {"[[device]\nname", "line 1"},
  };
  for (const auto& item : kCases) {
    CAPTURE(item.text);
    const auto file = read(item.text);
    REQUIRE(!file.ok());
    CHECK(file.status().code() == ft::StatusCode::kInvalid);
    CAPTURE(file.status().message());
    CHECK(file.status().message().find(item.complaint) != std::string::npos);
  }
  CHECK(!ft::read_devices_file("/nowhere.toml").ok());
}

TEST_CASE("slowdown: a number, or a file that may change") {
  CHECK(ft::Slowdown().factor() == 1);
  CHECK(ft::Slowdown::parse("2.5")->factor() == 2.5);
  for (const char* text : {"", "0.5", "x", "2x", "1e9", "nan", "inf", "@/nowhere"}) {
    CAPTURE(text);
    CHECK(!ft::Slowdown::parse(text).ok());
  }
  CHECK(ft::Slowdown::parse("1e30").status().message().find("1000000") != std::string::npos);
  CHECK(ft::Slowdown::parse("@/nowhere").status().message().find("/nowhere: cannot open") !=
        std::string::npos);
  const std::string path = write("3\n");
  ft::Slowdown slowdown = *ft::Slowdown::parse("@" + path);
  CHECK(slowdown.factor() == 3);
  write("7");
  CHECK(slowdown.factor() == 7);
  write("nonsense");
  CHECK(slowdown.factor() == 7);
}
