#pragma once

// Names as people write them: patterns with "*" and "?", and what they probably meant.

#include <string>
#include <vector>

namespace ft {

bool has_wildcard(const std::string& pattern);
// As a shell's: "*" any number of letters, "?" one.
bool matches(const std::string& pattern, const std::string& name);

// The nearest of them by letters that differ, three at most, as "'a', 'b' and 'c'"; ties go to the
// first.
std::string nearest_names(const std::string& wanted, const std::vector<std::string>& names);

// "'a', 'b' and 'c'", or "'a', 'b' and 7 more"; at most `shown` names.
std::string list_names(const std::vector<std::string>& names, size_t shown = 3);

}  // namespace ft
