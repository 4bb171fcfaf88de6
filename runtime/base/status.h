#pragma once

// Status and Result<T>: how a function says that the world (a file, a peer, a user) gave it
// something it cannot work with. What only a bug can cause is a FT_CHECK (check.h) instead.
// A message names the thing, the cause and the remedy; it ends on the screen unchanged.

#include <cstdarg>
#include <optional>
#include <string>
#include <utility>

#include "runtime/base/check.h"

namespace ft {

// The values are the process's exit codes (DESIGN 7).
enum class StatusCode : int {
  kOk = 0,
  kFailed = 1,   // training failed: a peer, a disk, a number that is not finite
  kInvalid = 2,  // bad usage, model, data or configuration
  kRefused = 3,  // refused by the other side
  kInterrupted = 130,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

// printf into a std::string; the compiler checks the arguments.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

[[gnu::format(printf, 1, 2)]] Status invalid_error(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] Status failed_error(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] Status refused_error(const char* pattern, ...);

// A T, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    FT_CHECK(!status_.ok());
  }

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() {
    FT_CHECK(ok());
    return *value_;
  }
  const T& value() const {
    FT_CHECK(ok());
    return *value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace ft

#define FT_CONCAT_(a, b) a##b
#define FT_CONCAT(a, b) FT_CONCAT_(a, b)

#define FT_RETURN_IF_ERROR(expression)       \
  do {                                       \
    ::ft::Status ft_status_ = (expression);  \
    if (!ft_status_.ok()) return ft_status_; \
  } while (false)

// FT_ASSIGN_OR_RETURN(auto x, make_x()); declares or assigns x, or returns the error.
#define FT_ASSIGN_OR_RETURN(target, expression) \
  FT_ASSIGN_OR_RETURN_(FT_CONCAT(ft_result_, __LINE__), target, expression)
#define FT_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                            \
  if (!result.ok()) return result.status();              \
  target = std::move(*result)
