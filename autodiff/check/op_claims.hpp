#pragma once

#include "autodiff/check/op_cases.hpp"
#include "autodiff/check/op_check.hpp"

namespace lariat {

/// Something that a record says of its op, and what finds out whether that is so.
struct OpClaim {
  std::string name;
  std::function<void(OpFinding&)> check;
};

/// What the record claims, beside what every op must hold; the cases are the op's. Kernels are run past every
/// pass, for passes believe these claims.
///
///   linear        in each input that is said to be: f(αu + βv) = αf(u) + βf(v), up to a shift for built-in
///                 ops, at several scales
///   commutative   two inputs change places, and nothing else changes
///   element-wise  an element's value follows from the elements at its place: alone, in another order, and
///                 where one element stands for all
///   finite        an element-wise op gives finite numbers for finite ones, or infinite ones but no NaN
///   bend          where an input alone moves and its record names no kink, slopes on both sides of the
///                 sample's kinks and elements are the same; of positive inputs, at places above 0
///   selection     each element is one of the inputs' elements, or 0, and which one does not depend on them
///   alias         output 0 has as many elements as input 0, of its dtype
///   shape only    other elements change nothing
///   additive      a number more in an input is that number more, or less, in the result
///   product       twice the first linear input with half the last gives the same, and none of it gives 0
///   stops gradient  the result is the same beside a point, or input 0 itself, from which alone it keeps them
///   inference     over random states the mean of output 0 is the input that stands for it at inference
///   cost          a number from 0 that follows from shapes alone, of bytes in proportion to the tensors'
///   recurrence    the sequence gives at each step what steps one after the other give
///   summation     it gives what the kernel gives
///   addend        so does the op that adds one more input
///   packed        a kernel that is given constants as it likes them gives the same bits
///   scalar penalty  φ is the function that its record describes
///   prox, residual, convex, smooth, combination
///                 of a penalty: autodiff/check/penalty_check.hpp
std::vector<OpClaim> claims_of(const OpDef& op, const OpCases& cases);

}  // namespace lariat
