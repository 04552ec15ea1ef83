#include "graph/blas.hpp"

#include <cblas.h>

namespace lariat {

void use_one_blas_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  (void)done;
}

}  // namespace lariat
