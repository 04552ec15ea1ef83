// What most files include, parsed once for a whole build. Files still include what they use: lint builds
// without this.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>
#include <xsimd/xsimd.hpp>

#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/op_def.hpp"
