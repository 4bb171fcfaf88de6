#pragma once

// Endpoint: "tcp://HOST:PORT", as a user writes it and ZeroMQ takes it.

#include <string>

namespace ft {

// What is wrong with it, for a message; empty if it has a host and a port from 1 to 65535, or *
// where `any_port`. An IPv6 address stands in brackets.
std::string endpoint_fault(const std::string& endpoint, bool any_port);
bool is_endpoint(const std::string& endpoint, bool any_port);

// REQUIRES of the others: is_endpoint(endpoint, true).
std::string host_of(const std::string& endpoint);
std::string port_of(const std::string& endpoint);
std::string make_endpoint(const std::string& host, const std::string& port);
// Only processes of this machine reach it. A name other than localhost may resolve to anything.
bool is_loopback(const std::string& endpoint);

}  // namespace ft
