#include "frontends/spec/initializers.hpp"

#include <algorithm>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

struct InitializerOptions {
  double number = 1;
};

struct InitializerKind {
  SpecKind spec;
  Initializer (*make)(double number);
};

// A kind with one number, whose least value is `lowest`.
InitializerKind kind_of(std::string name, std::string doc, std::string option, double lowest,
                        std::string of_option, Initializer (*make)(double)) {
  const Fields<InitializerOptions> fields = Fields<InitializerOptions>().number(
      std::move(option), &InitializerOptions::number, lowest, 1e6, std::move(of_option));
  return {fields.kind(std::move(name), std::move(doc)), make};
}

const std::vector<InitializerKind>& initializers() {
  static const std::vector<InitializerKind> kinds{
      kind_of("constant", "one value", "value", -1e6, "the value", init::constant),
      kind_of("glorot_uniform", "uniform in ±gain·√(6/(fan_in + fan_out)): Glorot and Bengio (2010)", "gain",
              0, "times these", init::glorot_uniform),
      kind_of("he_normal", "normal, of standard deviation gain·√(2/fan_in): He et al. (2015)", "gain", 0,
              "times these", init::he_normal),
      kind_of("normal", "normal", "standard_deviation", 0, "of the values", init::normal),
      kind_of("orthogonal", "orthonormal rows or columns: Saxe et al. (2014)", "gain", 0, "times these",
              init::orthogonal),
      kind_of("uniform", "uniform in ±half_width", "half_width", 0, "the largest", init::uniform)};
  return kinds;
}

}  // namespace

const SpecKinds& initializer_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds list;
    for (const InitializerKind& kind : initializers()) list.push_back(&kind.spec);
    return list;
  }();
  return kinds;
}

Initializer initializer_from_text(std::string_view text, std::string_view place) {
  const Spec spec = spec_from_text(initializer_spec_kinds(), text, place);
  const auto found = std::find_if(initializers().begin(), initializers().end(),
                                  [&](const InitializerKind& kind) { return kind.spec.name == spec.kind; });
  const auto& [name, number] = spec.options.front();
  return found->make(data::parse_number({name, {}, {}, {}, {}}, number, -1e6, 1e6));
}

}  // namespace lariat
