#pragma once

// The known bugs that can be planted.

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/plant.h"

namespace ft::sim {

struct PlantInfo {
  const char* name;
  const char* bug;
  std::unique_ptr<Plant> (*make)();
};
const std::vector<PlantInfo>& plants();
// Null when there is none of this name.
std::unique_ptr<Plant> make_plant(const std::string& name);

}  // namespace ft::sim
