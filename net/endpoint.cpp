#include "net/endpoint.h"

#include <algorithm>

namespace ft {
namespace {

const std::string kScheme = "tcp://";

bool is_port(const std::string& text) {
  const bool digits =
      !text.empty() && text.size() <= 5 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(text) >= 1 && std::stoi(text) <= 65535;
}

}  // namespace

bool is_endpoint(const std::string& endpoint, bool any_port) {
  if (!endpoint.starts_with(kScheme)) return false;
  const size_t colon = endpoint.rfind(':');
  if (colon <= kScheme.size()) return false;
  // ';' would be ZeroMQ's way to name a source address.
  const std::string host = host_of(endpoint);
  if (!std::all_of(host.begin(), host.end(),
                   [](char c) { return c > ' ' && c < 0x7F && c != '/' && c != ';'; })) {
    return false;
  }
  const std::string port = port_of(endpoint);
  return is_port(port) || (any_port && port == "*");
}

std::string host_of(const std::string& endpoint) {
  return endpoint.substr(kScheme.size(), endpoint.rfind(':') - kScheme.size());
}

std::string port_of(const std::string& endpoint) {
  return endpoint.substr(endpoint.rfind(':') + 1);
}

std::string make_endpoint(const std::string& host, const std::string& port) {
  return kScheme + host + ":" + port;
}

}  // namespace ft
