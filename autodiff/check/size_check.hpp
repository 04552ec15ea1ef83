#pragma once

#include <string>
#include <vector>

#include "autodiff/check/op_cases.hpp"

namespace lariat {

// Samples are small, so a kernel's loops over many rows, and over what is left of its vectors, may never have
// run. Sizes here are past what kernels block by.

/// What every slice along an axis gives by itself, it must give among many. Says nothing of an op, or an
/// axis, whose slices depend on each other.
std::string check_many_slices(const OpCase& c);

/// The op's samples with each of their extents, one after the other, grown to some hundred. The op may refuse
/// some: where an attribute says the size.
std::vector<Sample> larger_samples(const OpDef& op);

}  // namespace lariat
