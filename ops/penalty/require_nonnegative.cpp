#include <fmt/format.h>

#include <cmath>

#include "graph/base/error.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace require_nonnegative_detail {

std::vector<TensorType> infer(const InferContext& c) { return {c.in(0)}; }

template <class T>
void forward(const KernelContext& k) {
  const T* x = k.in<T>(0);
  for (int64_t i = 0; i < k.inputs[0].count(); ++i) {
    if (x[i] < T(0))
      throw UserError(
          fmt::format("L104: a penalty's coefficient is {} at element {}; it must be 0 or more", x[i], i));
    if (!std::isfinite(x[i]))
      throw UserError(
          fmt::format("L104: a penalty's coefficient is {} at element {}; it must be a finite number",
                      std::abs(x[i]), i));
    k.out<T>(0)[i] = x[i];
  }
}

}  // namespace require_nonnegative_detail

OpDef records::require_nonnegative() {
  using namespace require_nonnegative_detail;
  OpDef def{.name = "require_nonnegative",
            .doc =
                "Passes a penalty's coefficient on, and refuses one that is negative, infinite or NaN when "
                "it is read.",
            .inputs = {{"x", "a coefficient"}}};
  def.traits.linear = {true};
  def.traits.in_place = {{0, 0}};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0)}; };
  def.samples = {{"values", {{{3}, {0.5, 1, 2}}}, {}, {0.5, 1, 2}}, {"matrix", {{{2, 3}, {}, 0.5, 1}}}};
  return def;
}

}  // namespace lariat
