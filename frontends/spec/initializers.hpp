#pragma once

#include "frontends/spec/spec.hpp"
#include "graph/ir/initializer.hpp"

namespace lariat {

/// What the first values of weights may be, as kinds with options: "he_normal", "uniform half_width=0.1".
const SpecKinds& initializer_spec_kinds();

/// Throws UserError with `place` before it.
Initializer initializer_from_text(std::string_view text, std::string_view place);

}  // namespace lariat
