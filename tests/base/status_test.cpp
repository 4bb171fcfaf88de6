#include "runtime/base/status.h"

#include <doctest/doctest.h>
#include <memory>

namespace ft {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return invalid_error("%d is odd", number);
  return number / 2;
}

Result<int> quarter(int number) {
  FT_ASSIGN_OR_RETURN(const int once, half(number));
  FT_ASSIGN_OR_RETURN(const int twice, half(once));
  return twice;
}

Status check_quarter(int number) {
  FT_RETURN_IF_ERROR(quarter(number).status());
  return Status();
}

}  // namespace

TEST_CASE("status: the codes are the exit codes of the command line") {
  CHECK(Status().ok());
  CHECK(static_cast<int>(Status().code()) == 0);
  CHECK(static_cast<int>(failed_error("x").code()) == 1);
  CHECK(static_cast<int>(invalid_error("x").code()) == 2);
  CHECK(static_cast<int>(refused_error("x").code()) == 3);
  CHECK(static_cast<int>(StatusCode::kInterrupted) == 130);
}

TEST_CASE("status: format prints, at any length") {
  CHECK(format("%s has %d of %.1f", "a", 2, 3.5) == "a has 2 of 3.5");
  CHECK(format("%s", std::string(5000, 'x').c_str()) == std::string(5000, 'x'));
  CHECK(format("%s", "").empty());
}

TEST_CASE("status: the first error of a chain arrives, and a value passes") {
  CHECK(*quarter(12) == 3);
  CHECK(check_quarter(12).ok());
  CHECK(quarter(7).status().message() == "7 is odd");
  CHECK(check_quarter(6).message() == "3 is odd");
}

TEST_CASE("status: a result carries what can only be moved") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(*result);
  CHECK(*taken == 5);
}

}  // namespace ft
