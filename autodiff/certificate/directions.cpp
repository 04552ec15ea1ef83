#include "autodiff/certificate/directions.hpp"

#include <algorithm>
#include <cmath>

#include "graph/base/random.hpp"

namespace lariat {

Gradients direction_of(const Store& store, const std::vector<std::string>& names, bool both_ways) {
  Gradients direction;
  for (const std::string& name : names) {
    direction.emplace_back(f64, store.get(name).extents());
    uint64_t i = 0;
    for (double& move : direction.back().values<double>()) {
      const auto bits = random_bits(both_ways ? 2 : 1, hash_name(name), i++);
      move = (0.75 + 0.5 * to_unit(bits[0])) * (both_ways && to_unit(bits[1]) < 0.5 ? -1 : 1);
    }
  }
  return direction;
}

Store moved_weights(const Store& store, const std::vector<std::string>& names, const Gradients& direction,
                    double by) {
  Store moved;
  for (const auto& [name, tensor] : store) moved.set(name, tensor.clone());
  for (size_t p = 0; p < names.size(); ++p) {
    const Tensor tensor = moved.get(names[p]);
    with_type(tensor.dtype(), [&](auto zero) {
      using T = decltype(zero);
      double size = 1e-3;
      for (const T value : tensor.values<T>()) size = std::max(size, std::abs(static_cast<double>(value)));
      const double* move = direction[p].data<double>();
      for (T& value : tensor.values<T>()) value += static_cast<T>(by * size * *move++);
    });
  }
  return moved;
}

std::pair<int64_t, int64_t> keep_falling(Gradients& direction, const Gradients& jumps) {
  int64_t stopped = 0, left = 0;
  for (size_t p = 0; p < direction.size(); ++p)
    for (int64_t i = 0; i < direction[p].count(); ++i) {
      double& move = direction[p].data<double>()[i];
      if (move == 0) continue;
      if (jumps[p].data<double>()[i] * move < 0) {
        ++left;
      } else {
        ++stopped;
        move = 0;
      }
    }
  return {stopped, left};
}

bool turn_steeper(Gradients& direction, const std::vector<Gradients>& sides) {
  bool turned = false;
  for (size_t p = 0; p < direction.size(); ++p)
    for (int64_t i = 0; i < direction[p].count(); ++i) {
      double& move = direction[p].data<double>()[i];
      const double ahead = -sides[0][p].data<double>()[i] * move, back = sides[1][p].data<double>()[i] * move;
      if (!(back > ahead)) continue;
      move = -move;
      turned = true;
    }
  return turned;
}

}  // namespace lariat
