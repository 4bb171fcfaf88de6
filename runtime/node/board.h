#pragma once

// The board that ftrun runs on: recognised by the device tree or the CPU's part, or named by
// --board. It gives defaults for threads, memory and OpenBLAS's core type; what the user gives
// counts more.

#include <optional>

#include "runtime/node/board_profile.h"
#include "runtime/node/options.h"

namespace ft {

struct FoundBoard {
  Board board;
  std::string reason;       // "device tree 'Raspberry Pi 4 Model B Rev 1.4'"
  int64_t total_bytes = 0;  // of memory, as the system says
};

// `wanted`: a profile's name, "none", or "" to recognise. Reads below `root` ("" is the machine).
// Errors: kInvalid, for a name that no profile has.
Result<std::optional<FoundBoard>> find_board(const std::string& wanted, const std::string& root);

// What training takes of the board; says so in one line. Nothing when there is no board.
Result<std::string> apply_board(const FoundBoard& found, Options* options);

// OpenBLAS reads its core type when it is loaded, before main(): so the process starts itself once
// more with OPENBLAS_CORETYPE set. Returns when nothing is to be done: the user has set it, it was
// done, it cannot be done, or `core` is empty.
void restart_with_blas_core(const std::string& core, char** argv);

// Temperature, throttling and power now, as far as the board has files; empty when none.
std::string board_state(const Board& board, const std::string& root);

// This program as a command: /proc/self/exe, but in a bundle that would be its loader, whose
// wrapper names itself in FTRUN_LAUNCHER.
std::string own_program();

}  // namespace ft
