#include "runtime/node/option_units.h"

#include <charconv>

namespace ft {

Result<TimeUs> parse_duration(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string unit(rest, end);
  const double scale = unit == "us"   ? 1
                       : unit == "ms" ? 1e3
                       : unit == "s"  ? 1e6
                       : unit == "m"  ? 60e6
                                      : 0;
  if (error != std::errc() || scale == 0 || !(value > 0) || value * scale > 1e12) {
    return invalid_error("'%s' is no duration; write 250ms, 1s or 2.5s", text.c_str());
  }
  return static_cast<TimeUs>(value * scale);
}

Result<int64_t> parse_bytes(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  static constexpr struct {
    const char* unit;
    double bytes;
  } kUnits[] = {{"", 1},
                {"B", 1},
                {"K", 1e3},
                {"KB", 1e3},
                {"KiB", 1024},
                {"M", 1e6},
                {"MB", 1e6},
                {"MiB", 1024.0 * 1024},
                {"G", 1e9},
                {"GB", 1e9},
                {"GiB", 1024.0 * 1024 * 1024}};
  const std::string unit(rest, end);
  for (const auto& known : kUnits) {
    if (error != std::errc() || unit != known.unit || !(value * known.bytes >= 1)) continue;
    if (value * known.bytes > 1e15) break;
    return static_cast<int64_t>(value * known.bytes);
  }
  return invalid_error("'%s' is no size; write 512MB, 64MiB or 2GB", text.c_str());
}

}  // namespace ft
