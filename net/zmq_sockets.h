#pragma once

// Sockets over ZeroMQ. zmq.hpp is included by zmq_sockets.cpp only; its types and exceptions stop
// there.

#include <memory>

#include "net/socket.h"

namespace ft {

std::unique_ptr<Sockets> make_zmq_sockets();

}  // namespace ft
