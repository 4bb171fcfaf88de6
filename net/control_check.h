#pragma once

// The limits of every control message's body: counts, sizes of strings, ranges, numbers that are
// finite. What depends on the receiver's state is the receiver's to check.

#include "net/message.pb.h"
#include "runtime/base/status.h"

namespace ft {

// Errors: kRefused, naming the message and the field.
Status check_body(const net::Control& message);

}  // namespace ft
