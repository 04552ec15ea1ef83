#pragma once

#include "ops/recurrent/backward_sweep.hpp"
#include "ops/recurrent/forward_sweep.hpp"

namespace lariat {

/// The kernels of a family of cells: `Family::with<T>(attributes, body)` gives `body` the std::type_identity
/// of the one that a node's attributes choose.
template <class Family>
struct SweepKernels {
  static void put_forward(OpDef& def) {
    def.kernel = {run<ForwardSweep, float>, run<ForwardSweep, double>, nullptr};
    def.workspace = workspace<ForwardSweep>;
    def.pack = [](const KernelContext& k) -> std::shared_ptr<const void> {
      if (!k.inputs[1].data) return {};
      return of<ForwardSweep>(k, [&](auto sweep) { return decltype(sweep)::type::packed(k); });
    };
  }
  static void put_backward(OpDef& def) {
    def.kernel = {run<BackwardSweep, float>, run<BackwardSweep, double>, nullptr};
    def.workspace = workspace<BackwardSweep>;
  }

 private:
  template <template <class> class Sweep, class T>
  static void run(const KernelContext& k) {
    Family::template with<T>(k.attributes, [&](auto cell) { Sweep<typename decltype(cell)::type>(k).run(); });
  }
  template <template <class> class Sweep, class Body>
  static auto of(const KernelContext& k, const Body& body) {
    const auto sweep = [&](auto cell) {
      return body(std::type_identity<Sweep<typename decltype(cell)::type>>());
    };
    return k.inputs[0].dtype == f32 ? Family::template with<float>(k.attributes, sweep)
                                    : Family::template with<double>(k.attributes, sweep);
  }
  template <template <class> class Sweep>
  static Workspace workspace(const KernelContext& k) {
    return of<Sweep>(k, [&](auto sweep) { return decltype(sweep)::type::workspace(k); });
  }
};

}  // namespace lariat
