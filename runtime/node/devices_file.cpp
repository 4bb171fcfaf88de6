#include "runtime/node/devices_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <toml++/toml.h>

#include "runtime/base/file.h"
#include "runtime/node/option_units.h"

namespace ft {
namespace {

constexpr size_t kDevicesFileMax = 64;
constexpr double kCapacityMin = 1e-4;
constexpr double kCapacityMax = 1e4;
constexpr double kUnlimited = std::numeric_limits<double>::infinity();

struct Network {
  double bytes_per_us = kUnlimited;
  double latency_us = 0;
};

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}
  Result<DevicesFile> read(const toml::table& table);

 private:
  Status check_keys(const toml::table& table, const std::string& where,
                    const std::vector<std::string_view>& known) const;
  Status text(const toml::table& table, const std::string& where, const char* key,
              std::string* value) const;
  Status network(const toml::table& table, const std::string& where, Network* network) const;
  Status device(const toml::table& table);
  Status link(const toml::table& table);
  Result<int> index_of(const toml::node_view<const toml::node>& name) const;
  Status error(const std::string& where, const std::string& what) const {
    const std::string place = where.empty() ? "" : where + ": ";
    return invalid_error("%s: %s%s", path_.c_str(), place.c_str(), what.c_str());
  }

  std::string path_;
  DevicesFile file_;
  std::vector<Network> networks_;
  std::set<std::pair<int, int>> linked_;
};

Status Reader::check_keys(const toml::table& table, const std::string& where,
                          const std::vector<std::string_view>& known) const {
  for (const auto& [key, value] : table) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    std::string all;
    for (const std::string_view name : known) all += (all.empty() ? "" : ", ") + std::string(name);
    return error(where, "unknown key '" + std::string(key.str()) + "'; known: " + all);
  }
  return Status();
}

Status Reader::text(const toml::table& table, const std::string& where, const char* key,
                    std::string* value) const {
  const auto node = table[key];
  if (!node) return Status();
  if (!node.is_string()) return error(where, std::string(key) + " must be a text in quotes");
  *value = *node.value<std::string>();
  if (value->empty()) return error(where, std::string(key) + " is empty: leave it out");
  return Status();
}

Status Reader::network(const toml::table& table, const std::string& where, Network* network) const {
  std::string rate;
  std::string latency;
  FT_RETURN_IF_ERROR(text(table, where, "rate", &rate));
  FT_RETURN_IF_ERROR(text(table, where, "latency", &latency));
  if (!rate.empty()) {
    const bool per_second = rate.size() > 2 && rate.substr(rate.size() - 2) == "/s";
    const Result<int64_t> bytes = parse_bytes(rate.substr(0, rate.size() - (per_second ? 2 : 0)));
    if (!per_second || !bytes.ok()) {
      return error(where, "rate: '" + rate + "' is no rate; write 500KB/s, 2MB/s or 1GB/s");
    }
    network->bytes_per_us = static_cast<double>(*bytes) / 1e6;
  }
  if (!latency.empty()) {
    const Result<TimeUs> duration = parse_duration(latency);
    if (!duration.ok()) return error(where, "latency: " + duration.status().message());
    network->latency_us = static_cast<double>(*duration);
  }
  return Status();
}

Status Reader::device(const toml::table& table) {
  DevicesFile::Device device;
  std::string where = "device " + std::to_string(file_.devices.size() + 1);
  FT_RETURN_IF_ERROR(check_keys(table, where, {"name", "capacity", "memory", "rate", "latency"}));
  FT_RETURN_IF_ERROR(text(table, where, "name", &device.name));
  if (device.name.empty()) return error(where, "has no name; write name = \"pi4\"");
  const auto is_plain = [](char c) { return c >= 0x20 && c <= 0x7E; };
  if (!std::all_of(device.name.begin(), device.name.end(), is_plain)) {
    return error(where, "its name has characters other than plain text");
  }
  where = "device '" + device.name + "'";
  for (const DevicesFile::Device& other : file_.devices) {
    if (other.name == device.name) {
      return error(where, "there are two of that name; each needs its own");
    }
  }
  if (const auto capacity = table["capacity"]) {
    device.capacity = capacity.value<double>().value_or(0);
    if (!(device.capacity >= kCapacityMin && device.capacity <= kCapacityMax)) {
      return error(where, "capacity must be a number from 0.0001 up to 10000; 1 is this machine");
    }
  }
  std::string memory;
  FT_RETURN_IF_ERROR(text(table, where, "memory", &memory));
  if (!memory.empty()) {
    const Result<int64_t> bytes = parse_bytes(memory);
    if (!bytes.ok()) return error(where, "memory: " + bytes.status().message());
    device.memory_bytes = *bytes;
  }
  Network own;
  FT_RETURN_IF_ERROR(network(table, where, &own));
  networks_.push_back(own);
  file_.devices.push_back(std::move(device));
  return Status();
}

Result<int> Reader::index_of(const toml::node_view<const toml::node>& name) const {
  if (!name.is_string()) return error("link", "between must name two devices in quotes");
  const std::string wanted = *name.value<std::string>();
  for (size_t i = 0; i < file_.devices.size(); ++i) {
    if (file_.devices[i].name == wanted) return static_cast<int>(i);
  }
  return error("link",
               "between = [\"A\", \"B\"] must name two devices; there is no '" + wanted + "'");
}

Status Reader::link(const toml::table& table) {
  FT_RETURN_IF_ERROR(check_keys(table, "link", {"between", "rate", "latency", "reachable"}));
  const auto between = table["between"];
  const toml::array* names = between.as_array();
  if (names == nullptr || names->size() != 2) {
    return error("link", "between must name two devices: between = [\"A\", \"B\"]");
  }
  FT_ASSIGN_OR_RETURN(const int a, index_of(between[0]));
  FT_ASSIGN_OR_RETURN(const int b, index_of(between[1]));
  if (a == b) return error("link", "between names one device twice");
  if (!linked_.insert(std::minmax(a, b)).second) {
    return error("link", "there are two between '" + file_.devices[static_cast<size_t>(a)].name +
                             "' and '" + file_.devices[static_cast<size_t>(b)].name + "'");
  }
  Network own;
  FT_RETURN_IF_ERROR(network(table, "link", &own));
  const auto i = static_cast<size_t>(a);
  const auto j = static_cast<size_t>(b);
  file_.links[i][j] = file_.links[j][i] = LinkCost{own.bytes_per_us, own.latency_us};
  if (table.contains("reachable") && !table["reachable"].is_boolean()) {
    return error("link", "reachable must be true or false, without quotes");
  }
  if (!table["reachable"].value_or(true)) file_.unreachable.insert(std::minmax(a, b));
  return Status();
}

Result<DevicesFile> Reader::read(const toml::table& table) {
  FT_RETURN_IF_ERROR(check_keys(table, "", {"device", "link"}));
  for (const char* what : {"device", "link"}) {
    if (!table.contains(what) || table[what].is_array()) continue;
    return error("", format("has no [[%s]], but another %s: write two brackets", what, what));
  }
  const toml::array* devices = table["device"].as_array();
  if (devices == nullptr || devices->empty()) {
    return error("", "has no [[device]]; write one for each");
  }
  if (devices->size() > kDevicesFileMax) return error("", "more than 64 devices: leave some out");
  for (const toml::node& node : *devices) {
    if (!node.is_table()) return error("", "write [[device]] with two brackets");
    FT_RETURN_IF_ERROR(device(*node.as_table()));
  }
  const size_t count = file_.devices.size();
  file_.links.assign(count, std::vector<LinkCost>(count));
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) {
      if (i == j) continue;
      file_.links[i][j] = {std::min(networks_[i].bytes_per_us, networks_[j].bytes_per_us),
                           networks_[i].latency_us + networks_[j].latency_us};
    }
  }
  if (const toml::array* links = table["link"].as_array()) {
    for (const toml::node& node : *links) {
      if (!node.is_table()) return error("", "write [[link]] with two brackets");
      FT_RETURN_IF_ERROR(link(*node.as_table()));
    }
  }
  return std::move(file_);
}

}  // namespace

Result<DevicesFile> read_devices_file(const std::string& path) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(path));
  const auto bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    return Reader(path).read(toml::parse(text));
  } catch (const toml::parse_error& problem) {
    return invalid_error("%s: line %u: %s", path.c_str(), problem.source().begin.line,
                         std::string(problem.description()).c_str());
  }
}

}  // namespace ft
