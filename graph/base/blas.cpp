#include "graph/base/blas.hpp"

// OpenBLAS's own cblas.h and that of xtensor-blas declare the same functions differently.
extern "C" void openblas_set_num_threads(int count);

namespace lariat {

void use_one_blas_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  (void)done;
}

}  // namespace lariat
