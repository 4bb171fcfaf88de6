#pragma once

// Endpoint: "tcp://HOST:PORT", as a user writes it and ZeroMQ takes it.

#include <string>

namespace ft {

// Whether it has a host and a port from 1 to 65535, or * where `any_port`.
bool is_endpoint(const std::string& endpoint, bool any_port);

// REQUIRES: is_endpoint(endpoint, true).
std::string host_of(const std::string& endpoint);
std::string port_of(const std::string& endpoint);
std::string make_endpoint(const std::string& host, const std::string& port);

}  // namespace ft
