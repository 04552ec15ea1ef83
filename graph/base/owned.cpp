#include "graph/base/owned.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"

namespace lariat {

void refuse_moved(const char* what) {
  throw UserError(
      fmt::format("this {0} was moved to another, and is empty; ask the {0} that it was moved to", what));
}

}  // namespace lariat
