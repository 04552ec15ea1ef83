#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// The gradient of the scalar `loss` with respect to each of `wrt` (parameters, inputs or any values in
/// between), as nodes of the same graph, so that it can be differentiated again. Values that the loss does
/// not depend on get zeros. The adjoint of a value in `cut` is computed but not passed on to its node's
/// inputs. Reverse mode: Linnainmaa (1970); Griewank and Walther, Evaluating Derivatives (2008), ch. 3.
/// Throws UserError where the loss is not a scalar, an op on the way has no gradient, or the loss depends on
/// an output that an op has saved for its backward pass: those whose first derivatives are made of such
/// outputs have no second ones. With `gradient_of`, says of each node that is added whose gradient it is a
/// part of, by node; -1 of all others.
std::vector<Value> gradient(Value loss, std::span<const Value> wrt, std::span<const Value> cut = {},
                            std::vector<int32_t>* gradient_of = nullptr);
std::vector<Value> gradient(Value loss, std::initializer_list<Value> wrt);

}  // namespace lariat
