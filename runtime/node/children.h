#pragma once

// The stages of `--role local`: processes of this very binary, which die with their parent.

#include <string>
#include <sys/types.h>
#include <vector>

#include "runtime/node/options.h"

namespace ft {

class Children {
 public:
  Children() = default;
  // Waits for those that end by themselves, and ends the others.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Starts stage number `index` (1 ..). Errors: kFailed.
  Status start_stage(const Options& options, const std::string& central, int index, int threads,
                     const Slowdown& slowdown);

  // At once: they have nothing to finish, and nothing to say.
  void kill();

  // Errors: kFailed when one of them has ended.
  Status check();

 private:
  std::vector<pid_t> pids_;  // those not known to have ended
};

}  // namespace ft
