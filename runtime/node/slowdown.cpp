#include "runtime/node/slowdown.h"

#include <cmath>
#include <cstdlib>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr double kFactorMax = 1e6;

// 0 when the text is no factor.
double factor_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  while (*end == ' ' || *end == '\n') ++end;
  const bool holds = end != text.c_str() && *end == '\0' && value >= 1 && value <= kFactorMax;
  return holds ? value : 0;
}

double factor_in(const std::string& path) {
  const Result<BufferPtr> file = read_file(path);
  if (!file.ok()) return 0;
  const auto bytes = (*file)->bytes();
  return factor_of(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

Result<Slowdown> Slowdown::parse(const std::string& text) {
  Slowdown slowdown;
  slowdown.text_ = text;
  const bool is_file = !text.empty() && text[0] == '@';
  slowdown.factor_ = is_file ? factor_in(text.substr(1)) : factor_of(text);
  if (slowdown.factor_ > 0) return slowdown;
  if (is_file) {
    const Status opened = read_file(text.substr(1)).status();
    if (!opened.ok()) return invalid_error("--slowdown @%s", opened.message().c_str());
  }
  return invalid_error("--slowdown %s: %s from 1 to %.0f%s", text.c_str(),
                       is_file ? "that file must hold one number" : "must be a number", kFactorMax,
                       is_file ? "" : ", or @FILE with one in it");
}

double Slowdown::factor() {
  if (text_[0] != '@') return factor_;
  const double value = factor_in(text_.substr(1));
  if (value > 0) factor_ = value;
  return factor_;
}

}  // namespace ft
