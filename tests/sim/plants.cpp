#include "tests/sim/plants.h"

namespace ft::sim {

const std::vector<PlantInfo>& plants() {
  static const std::vector<PlantInfo> kPlants;
  return kPlants;
}
std::unique_ptr<Plant> make_plant(const std::string&) { return std::make_unique<Plant>(); }

}  // namespace ft::sim
