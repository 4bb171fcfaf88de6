#include "runtime/node/version.h"

#include "kernels/gemm.h"
#include "kernels/simd/loops.h"

namespace ft {

std::string version_text() { return "ftrun " FT_VERSION; }

std::string numerics_text() {
#if defined(__OPTIMIZE__)
  const std::string build = "optimised";
#else
  const std::string build = "unoptimised";
#endif
  return version_text() + " " + build + ", GCC " __VERSION__ ", " + simd_description() + ", " +
         blas_description();
}

}  // namespace ft
