#pragma once

#include <cstdint>

namespace ft {

// A process, for as long as it lives: its incarnation, a random number; never 0.
using PeerId = uint64_t;

}  // namespace ft
