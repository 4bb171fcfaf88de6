#pragma once

#include <string>

namespace ft {

// "ftrun 0.1.0".
std::string version_text();

// Build, kernel table and BLAS: members of equal numerics compute the same bits (DESIGN 3).
std::string numerics_text();

}  // namespace ft
