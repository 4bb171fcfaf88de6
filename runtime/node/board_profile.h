#pragma once

// The profile of a board: how it is recognised, and what ftrun takes on it. The profiles are the
// files boards/*.toml, held by the binary. Read here; toml++ stops in board_profile.cpp.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace ft {

struct BoardText {
  std::string name;  // of the file, without .toml
  std::string text;
};

struct Board {
  std::string name;          // "raspberry-pi-4"
  std::string title;         // "Raspberry Pi 4"
  std::string tier;          // measured: figures are from the board; emulated: tests ran under QEMU
  std::string architecture;  // aarch64 or armhf
  std::vector<std::string> models;  // beginnings of the device tree's model
  std::vector<std::string> parts;   // CPU parts, as /proc/cpuinfo writes them
  int cores = 0;
  int threads = 0;            // 0: all cores
  int64_t memory_bytes = 0;   // the smallest that is sold
  int64_t reserve_bytes = 0;  // what the system keeps
  std::string blas_core;      // value of OPENBLAS_CORETYPE; empty: as OpenBLAS finds it
  double peak_gflops = 0;
  std::string temperature;  // files: thousandths of a degree
  std::string throttled;    // 0 or bits, hexadecimal
  std::string power;        // milliwatts
  std::string flags;        // for the compiler
  std::string qemu_cpu;
};

// What the binary holds.
std::vector<BoardText> board_texts();

// Errors: kInvalid, naming profile, key and cause; unknown keys are refused.
Result<Board> parse_board(const BoardText& profile);

}  // namespace ft
