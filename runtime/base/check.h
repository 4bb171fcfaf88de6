#pragma once

// FT_CHECK(condition): an invariant that only a bug can break. Checks stay on in release builds: a
// training run that goes on with a broken invariant loses more than one that stops.

namespace ft {

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace ft

#define FT_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::ft::check_failed(__FILE__, __LINE__, #condition))
