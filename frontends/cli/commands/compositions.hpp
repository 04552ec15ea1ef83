#pragma once

#include <string>
#include <vector>

namespace lariat::cli {

/// A function of ops/ops.hpp that is no op by itself, but made of ops.
struct Composition {
  std::string name, arguments, doc;
};
const std::vector<Composition>& compositions();

/// Of an op, the room below ops/ that its file is in; "plugin" where it is none of ours.
std::string room_of(const std::string& op);

}  // namespace lariat::cli
