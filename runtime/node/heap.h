#pragma once

// How this process takes memory from the system and gives it back. The C library keeps what is
// freed where a hole is no end, and what a device can hold is what its processes have at most: so
// there are moments at which it must give back, and blocks that it must not keep. Nothing but glibc
// needs telling.

namespace ft {

// For the whole process, from its start: blocks of a MiB and more return when they are freed.
void return_large_blocks();

// What is free now returns. For moments after which less is needed than before.
void return_free_pages();

// While it lives every tensor returns when it is freed, not only large ones: what reads a model
// file holds each weight twice, and thousands of holes would stay. To be made where no other thread
// allocates much: it is the process that changes.
class ReturnsTensors {
 public:
  ReturnsTensors();
  ~ReturnsTensors();
  ReturnsTensors(const ReturnsTensors&) = delete;
  ReturnsTensors& operator=(const ReturnsTensors&) = delete;
};

}  // namespace ft
