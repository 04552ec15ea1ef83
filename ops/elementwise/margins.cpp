#include "ops/elementwise/margins.hpp"

#include <fmt/format.h>

namespace lariat {

std::vector<AttributeSpec> margin_attributes(const std::string& what_happens) {
  return {{"axis", AttributeKind::integer, "the axis; negative: counted from the last"},
          {"before", AttributeKind::shape,
           fmt::format("how many places are {} in front, as a shape of one dimension", what_happens)},
          {"after", AttributeKind::shape,
           fmt::format(
               "how many places are {} behind; down to 1 - step, as the last element need not fill its step",
               what_happens)},
          {"step", AttributeKind::integer, "the distance between elements", Attribute(int64_t{1}), 1, 1e9}};
}

Attributes margins(int64_t axis, Dim before, Dim after, int64_t step) {
  return {{"axis", axis}, {"before", Shape{before}}, {"after", Shape{after}}, {"step", step}};
}

Margins checked_margins(const InferContext& c) {
  const Shape &before = c.attribute<Shape>("before"), &after = c.attribute<Shape>("after");
  if (before.size() != 1 || after.size() != 1)
    c.fail(fmt::format("'before' is {} and 'after' is {}; each must be a shape of one dimension",
                       text(before), text(after)));
  // The kernel sees extents, not symbols, and finds one margin from the other.
  if (!before[0].known() && !after[0].known())
    c.fail(fmt::format(
        "'before' is {} and 'after' is {}: one of them must be a number; cut one side, then the other",
        before[0].text(), after[0].text()));
  return {before[0], after[0]};
}

int64_t front_margin(const Attributes& attributes, int64_t size, int64_t count) {
  const Dim before = attributes.get<Shape>("before")[0], after = attributes.get<Shape>("after")[0];
  return before.known() ? before.size() : size - count * attributes.get<int64_t>("step") - after.size();
}

}  // namespace lariat
