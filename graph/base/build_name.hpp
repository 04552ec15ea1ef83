#pragma once

#include <string>

namespace lariat {

/// By which builds are told apart that must compute the same bits: version, the identifier that the linker
/// has given the running program, and the instruction set of its kernels: "0.2.0, build 5f0c1e2a, kernels for
/// avx2".
std::string build_name();

}  // namespace lariat
