#pragma once

// Slowdown: an experiment's way to make a device slow (`--slowdown`): a factor, or "@FILE" for a
// file that holds one and is read anew each time, so that a device can change while it runs.

#include <string>

#include "runtime/base/status.h"

namespace ft {

class Slowdown {
 public:
  Slowdown() = default;
  // Errors: kInvalid when the text is no number from 1 to 1e6, or the file does not hold one.
  static Result<Slowdown> parse(const std::string& text);

  // At least 1. A file that does not hold a number at this moment leaves the factor as it was.
  double factor();
  const std::string& text() const { return text_; }

 private:
  std::string text_ = "1";
  double factor_ = 1;
};

}  // namespace ft
