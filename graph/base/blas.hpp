#pragma once

namespace lariat {

/// Makes OpenBLAS run on the thread that calls it: on two it gives other bits than on one, and lariat does
/// the threading. To be called before the first product or factorisation.
void use_one_blas_thread();

}  // namespace lariat
