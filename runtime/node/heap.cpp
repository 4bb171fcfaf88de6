#include "runtime/node/heap.h"

#include <malloc.h>

namespace ft {
namespace {

// The C library raises the size from which a block is given back to the system when it is freed, up
// to 32 MiB, and then keeps holes of that size.
constexpr int kReturnedBytesMin = 1024 * 1024;
// A mapping takes a page more at most: a sixteenth of these.
constexpr int kTensorBytesMin = 64 * 1024;

}  // namespace

#ifdef __GLIBC__

void return_large_blocks() {
  ::mallopt(M_MMAP_THRESHOLD, kReturnedBytesMin);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kReturnedBytesMin);
}

void return_free_pages() { ::malloc_trim(0); }

ReturnsTensors::ReturnsTensors() { ::mallopt(M_MMAP_THRESHOLD, kTensorBytesMin); }

ReturnsTensors::~ReturnsTensors() {
  ::mallopt(M_MMAP_THRESHOLD, kReturnedBytesMin);
  return_free_pages();
}

#else

void return_large_blocks() {}
void return_free_pages() {}
ReturnsTensors::ReturnsTensors() = default;
ReturnsTensors::~ReturnsTensors() = default;

#endif

}  // namespace ft
