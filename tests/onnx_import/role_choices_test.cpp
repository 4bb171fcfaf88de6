#include "onnx_import/role_choices.h"

#include <doctest/doctest.h>

namespace ft {

TEST_CASE("names: patterns match as a shell's do") {
  CHECK(matches("*", "a.b"));
  CHECK(matches("a.*", "a.b"));
  CHECK(matches("*.b?as", "x.y.bias"));
  CHECK(matches("a*c*e", "abcde"));
  CHECK_FALSE(matches("a.?", "a."));
  CHECK_FALSE(matches("a", "ab"));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("a*b", "a"));
}

TEST_CASE("names: a pattern of many stars takes no time") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  CHECK_FALSE(matches(pattern, std::string(1000, 'a') + "b"));
}

TEST_CASE("names: the nearest ones are named, a long list is cut") {
  CHECK(nearest_names("fc.wieght", {"conv.bias", "fc.weight", "fc.bias", "x"}) ==
        "'fc.weight', 'fc.bias' and 'conv.bias'");
  CHECK(list_names({"a"}) == "'a'");
  CHECK(list_names({"a", "b"}) == "'a' and 'b'");
  CHECK(list_names({"a", "b", "c", "d"}) == "'a', 'b' and 2 more");
}

}  // namespace ft
