#pragma once

// Narration: what messages and tasks look like in the trace.

#include <string>

#include "runtime/pipeline/step.h"
#include "tests/sim/world.h"

namespace ft::sim {

void narrate(World* world, const std::string& who, PeerId from, const net::Control& message);
void narrate(World* world, const std::string& who, const Task& task);

}  // namespace ft::sim
