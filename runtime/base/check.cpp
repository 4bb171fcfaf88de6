#include "runtime/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ft {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "ftrun: bug: %s:%d: check failed: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace ft
