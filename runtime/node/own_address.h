#pragma once

#include <string>

#include "runtime/base/status.h"

namespace ft {

// Which of this device's IPv4 addresses faces `endpoint` (tcp://HOST:PORT), so that what listens
// there is reached from there. Nothing is sent. Errors: kInvalid: no such host, or no network.
Result<std::string> address_towards(const std::string& endpoint);

}  // namespace ft
