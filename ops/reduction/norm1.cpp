#include "ops/ops.hpp"

namespace lariat {

Value norm1(Operand x) { return sum(Operand(abs(x), x.where)); }

}  // namespace lariat
