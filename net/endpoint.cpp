#include "net/endpoint.h"

#include <algorithm>
#include <arpa/inet.h>

namespace ft {
namespace {

const std::string kScheme = "tcp://";

bool is_port(const std::string& text) {
  const bool digits =
      !text.empty() && text.size() <= 5 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(text) >= 1 && std::stoi(text) <= 65535;
}

bool is_host_character(char c) {
  // ';' would be ZeroMQ's way to name a source address.
  return c > ' ' && c < 0x7F && c != '/' && c != ';';
}

}  // namespace

std::string endpoint_fault(const std::string& endpoint, bool any_port) {
  const std::string form =
      any_port ? "tcp://HOST:PORT, or tcp://HOST:* for a free port" : "tcp://HOST:PORT";
  if (!endpoint.starts_with(kScheme)) return "must be " + form;
  if (endpoint.rfind(':') < kScheme.size()) return "has no port; write " + form;
  const std::string host = host_of(endpoint);
  if (host.empty()) return "has no host; write " + form;
  if (!std::all_of(host.begin(), host.end(), is_host_character)) {
    return "the host has a character that does not belong there; write " + form;
  }
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":[]") != std::string::npos) {
    return "the host has a colon or a bracket; write " + form + ", an IPv6 address in brackets";
  }
  const std::string port = port_of(endpoint);
  if (is_port(port) || (any_port && (port == "*" || port == "0"))) return "";
  return "the port must be a number from 1 to 65535; write " + form;
}

bool is_endpoint(const std::string& endpoint, bool any_port) {
  return endpoint_fault(endpoint, any_port).empty();
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

bool is_loopback(const std::string& endpoint) {
  const std::string host = host_of(endpoint);
  in_addr address{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), &address) == 1;
  return host == "localhost" || host == "[::1]" ||
         (is_address && (ntohl(address.s_addr) >> 24) == 127);
}

}  // namespace ft
