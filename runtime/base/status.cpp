#include "runtime/base/status.h"

#include <cstdio>

namespace ft {
namespace {

std::string format_list(const char* pattern, va_list arguments) {
  va_list copy;
  va_copy(copy, arguments);
  const int length = std::vsnprintf(nullptr, 0, pattern, copy);
  va_end(copy);
  if (length < 0) return pattern;
  std::string text(static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, arguments);
  return text;
}

}  // namespace

#define FT_FORMAT_BODY(text)                          \
  va_list arguments;                                  \
  va_start(arguments, pattern);                       \
  std::string text = format_list(pattern, arguments); \
  va_end(arguments)

std::string format(const char* pattern, ...) {
  FT_FORMAT_BODY(text);
  return text;
}

Status invalid_error(const char* pattern, ...) {
  FT_FORMAT_BODY(text);
  return Status(StatusCode::kInvalid, std::move(text));
}

Status failed_error(const char* pattern, ...) {
  FT_FORMAT_BODY(text);
  return Status(StatusCode::kFailed, std::move(text));
}

Status refused_error(const char* pattern, ...) {
  FT_FORMAT_BODY(text);
  return Status(StatusCode::kRefused, std::move(text));
}

}  // namespace ft
