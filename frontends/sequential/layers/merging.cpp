#include "frontends/sequential/layers/merging.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lariat {

void check_alike(const LayerContext& context, const std::vector<Signal>& inputs, size_t but) {
  const Signal& first = inputs.front();
  for (const Signal& input : inputs) {
    const Shape &a = first.value.shape(), &b = input.value.shape();
    if (input.is_sequence() != first.is_sequence())
      context.fail(
          fmt::format("takes sequences or none, but got {} and {}; end the sequence with last_step or "
                      "global_average_pool before it",
                      text(a), text(b)));
    if (a.size() != b.size() || !std::equal(a.begin(), a.end() - static_cast<std::ptrdiff_t>(but), b.begin()))
      context.fail(fmt::format("takes inputs of one shape{}, but got {} and {}; {}",
                               but == 0 ? "" : ", but for the channels", text(a), text(b),
                               but == 0 ? "give the layers before it as many units, or take concat"
                                        : "flatten or pool one of them before it"));
  }
}

}  // namespace lariat
