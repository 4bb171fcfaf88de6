#pragma once

// Tidy: the rules of DESIGN 5 and STYLE.md that a program can read. Who may include whom, what the
// pure and the reproducible parts may not use, and the shape of a file. tidy.cpp starts with the
// tables; a new folder or an allowed edge is one line there.

#include <string>
#include <vector>

namespace ft::tidy {

struct Source {
  std::string path;  // from the root of the repository
  std::string text;
};

// Every .h and .cpp of the product's folders, tests and bench, ordered by path.
std::vector<Source> read_repository();

// One `path:line: rule: text` for each violation. Includes and code are judged in product folders
// only; lines, words and headers everywhere.
std::vector<std::string> check(const std::vector<Source>& sources);

}  // namespace ft::tidy
