#pragma once

namespace ft {

// CPU time, in microseconds, that a byte of a message costs the process that sends or receives it,
// roughly: what it takes through a connection of this machine to itself, in pieces as messages have
// them. Half of that is the other end's, but queues and threads take as much again. 0 where there
// is no such connection.
double message_byte_us();

}  // namespace ft
