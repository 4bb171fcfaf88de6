#pragma once

// What two descriptions of a run differ in, in the words of the command line.

#include <string>

#include "net/message.pb.h"

namespace ft {

// The fewest digits that lead to the same number: 0.01, not 0.009999999776482582.
std::string number_text(float number);

// "--seed (0, not 7), --batches (200, not 300)": what the one that is held says, and what is asked
// for. Empty when both lead to the same weights; how often cuts are taken does not matter.
std::string training_difference(const net::Training& held, const net::Training& asked);

}  // namespace ft
