#include "runtime/node/board.h"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

namespace {

// A machine of files: /proc/device-tree/model and /proc/meminfo below a directory.
class Machine {
 public:
  explicit Machine(const std::string& model) {
    std::string pattern = (std::filesystem::temp_directory_path() / "ftrun-board-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    write("/proc/device-tree/model", model);
  }
  ~Machine() { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path, std::ios::binary) << text;
  }
  const std::string& root() const { return root_; }
  std::string found(const std::string& wanted = "") const {
    const auto found = ft::find_board(wanted, root_);
    if (!found.ok()) return found.status().message();
    return *found ? (*found)->board.name : "";
  }

 private:
  std::string root_;
};

}  // namespace

TEST_CASE("boards: every profile of the binary is read and within its ranges") {
  const std::vector<ft::BoardText> texts = ft::board_texts();
  CHECK(texts.size() >= 7);
  for (const ft::BoardText& text : texts) {
    const auto board = ft::parse_board(text);
    INFO(text.name, ": ", board.ok() ? "" : board.status().message());
    REQUIRE(board.ok());
    CHECK(board->models.size() + board->parts.size() > 0);
    CHECK(board->peak_gflops / board->cores < 100);
    CHECK(board->flags.rfind("-m", 0) == 0);
    // The figure's formula stands beside it.
    CHECK(text.text.find("FLOP per cycle") != std::string::npos);
  }
}

TEST_CASE("boards: an unknown key, a wrong type and a number out of range are refused") {
  ft::BoardText good = ft::board_texts()[0];
  const auto refused = [&](const std::string& text, const std::string& word) {
    const auto board = ft::parse_board({good.name, text});
    REQUIRE(!board.ok());
    CHECK(board.status().message().find(word) != std::string::npos);
  };
  refused(good.text + "\nspeed = 3\n", "speed: unknown key");
  refused("title = 3\n", "title: must be a text");
  refused("title = \"x\"\n", "tier: ");
  refused("title = ", "line 1");
  std::string many = good.text;
  many.replace(many.find("cores = ") + 8, 1, "9999");
  refused(many, "cores: must be a number from 1 to 256");
  std::string file = good.text;
  file.replace(file.find("\"/sys/") + 1, 5, "/etc/");
  refused(file, "must be a file below /sys/");
}

TEST_CASE("board: recognised by the device tree's model") {
  using namespace std::string_literals;
  CHECK(Machine("Raspberry Pi 3 Model B Plus Rev 1.3\0"s).found() == "raspberry-pi-3");
  CHECK(Machine("Raspberry Pi 4 Model B Rev 1.4\0"s).found() == "raspberry-pi-4");
  CHECK(Machine("Raspberry Pi 5 Model B Rev 1.0\0"s).found() == "raspberry-pi-5");
  CHECK(Machine("NVIDIA Jetson Nano Developer Kit\0"s).found() == "jetson-nano");
  CHECK(Machine("NVIDIA Jetson Orin Nano Developer Kit\0"s).found() == "jetson-orin");
  CHECK(Machine("NVIDIA Orin Nano Developer Kit\0"s).found() == "jetson-orin");
  CHECK(Machine("linux,dummy-virt\0"s).found() == "");
  CHECK(Machine("").found() == "");
}

TEST_CASE("board: --board names one, or none, or is refused with the names") {
  const Machine machine("Raspberry Pi 4 Model B");
  CHECK(machine.found("jetson-nano") == "jetson-nano");
  CHECK(machine.found("none") == "");
  const std::string refused = machine.found("pi4");
  CHECK(refused.find("raspberry-pi-4") != std::string::npos);
  CHECK(refused.find("none") != std::string::npos);
}

TEST_CASE("board: hostile contents of the device tree are cut and shown harmlessly") {
  using namespace std::string_literals;
  CHECK(Machine(std::string(1 << 20, 'x')).found() == "");
  CHECK(Machine("\0Raspberry Pi 4"s).found() == "");
  const Machine machine("Raspberry Pi 4\x1b[2J\xff" + std::string(1 << 20, 'x'));
  const auto found = ft::find_board("", machine.root());
  REQUIRE(found.ok());
  REQUIRE(found->has_value());
  CHECK((*found)->reason.size() < 130);
  CHECK((*found)->reason.rfind("device tree 'Raspberry Pi 4?[2J?xxx", 0) == 0);
}

TEST_CASE("board: gives threads and memory, unless the user does") {
  Machine machine("Raspberry Pi 4 Model B Rev 1.4");
  machine.write("/proc/meminfo", "MemTotal:        3882232 kB\nMemFree: 1 kB\n");
  const auto found = ft::find_board("", machine.root());
  REQUIRE(found.ok());
  ft::Options options;
  const auto line = ft::apply_board(**found, &options);
  REQUIRE(line.ok());
  CHECK(options.memory_bytes == int64_t{3882232} * 1024 - 400'000'000);
  CHECK(options.threads >= 1);
  CHECK(options.threads <= 4);
  CHECK(line->rfind("board: Raspberry Pi 4 (device tree 'Raspberry Pi 4 Model B Rev 1.4'): ", 0) ==
        0);
  CHECK(line->find("3.6 GB for training") != std::string::npos);

  ft::Options given;
  given.threads = 7;
  given.memory_bytes = 1'000'000'000;
  REQUIRE(ft::apply_board(**found, &given).ok());
  CHECK(given.threads == 7);
  CHECK(given.memory_bytes == 1'000'000'000);

  machine.write("/proc/meminfo", "MemTotal: 262144 kB\n");
  const auto small = ft::find_board("", machine.root());
  ft::Options none;
  CHECK(!ft::apply_board(**small, &none).ok());
}

TEST_CASE("board: temperature and throttling now") {
  Machine machine("Raspberry Pi 4");
  const auto found = ft::find_board("", machine.root());
  const ft::Board& board = (*found)->board;
  CHECK(ft::board_state(board, machine.root()) == "");
  machine.write(board.temperature, "61324\n");
  machine.write(board.throttled, "50000\n");
  CHECK(ft::board_state(board, machine.root()) == "61.3 degrees, was throttled");
  machine.write(board.throttled, "50005\n");
  CHECK(ft::board_state(board, machine.root()) == "61.3 degrees, throttled now");
}
