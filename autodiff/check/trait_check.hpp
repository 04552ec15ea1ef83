#pragma once

#include "autodiff/check/op_cases.hpp"

namespace lariat {

// Checks of single claims of a record on one case: the fault, or "". What each compares stands in
// op_claims.hpp.

std::string check_finite(const OpCase& c);
std::string check_bend(const OpCase& c);
std::string check_product(const OpCase& c);
std::string check_stopped(const OpCase& c);
std::string check_inference(const OpCase& c);
std::string check_cost(const OpCase& c);
std::string check_recurrence(const OpCase& c);

}  // namespace lariat
