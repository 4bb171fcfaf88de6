#include "kernels/op.h"

namespace ft {
namespace {

template <typename T>
Result<T> get(const std::map<std::string, Attribute>& values, const std::string& name,
              const T& fallback, const char* type) {
  const auto found = values.find(name);
  if (found == values.end()) return fallback;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  return invalid_error("attribute '%s' is not %s", name.c_str(), type);
}

}  // namespace

Result<int64_t> Attributes::get_int(const std::string& name, int64_t fallback) const {
  return get<int64_t>(values_, name, fallback, "an integer");
}

Result<float> Attributes::get_float(const std::string& name, float fallback) const {
  return get<float>(values_, name, fallback, "a float");
}

Result<std::string> Attributes::get_string(const std::string& name,
                                           const std::string& fallback) const {
  return get<std::string>(values_, name, fallback, "a string");
}

Result<std::vector<int64_t>> Attributes::get_ints(const std::string& name,
                                                  const std::vector<int64_t>& fallback) const {
  return get<std::vector<int64_t>>(values_, name, fallback, "a list of integers");
}

}  // namespace ft
