#include "ops/ops.hpp"

namespace lariat {

Value norm1(Operand x) { return sum(Operand(abs(x), x.where)); }

Value norm2(Operand x) { return sqrt(Operand(sum(Operand(square(x), x.where)), x.where)); }

}  // namespace lariat
