#include "graph/ir/attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "graph/base/error.hpp"

namespace lariat {

std::string_view name_of(AttributeKind kind) {
  constexpr std::array<std::string_view, 9> names{"a boolean", "an integer",         "a number",
                                                  "a string",  "a list of integers", "a shape",
                                                  "a dtype",   "a tensor",           "a graph"};
  return names[static_cast<size_t>(kind)];
}

// Here, so that not every file that includes the header compiles them.
const Attributes::Entries Attributes::none;
Attributes::Attributes() = default;
Attributes::Attributes(const Attributes&) = default;
Attributes::Attributes(Attributes&&) noexcept = default;
Attributes& Attributes::operator=(const Attributes&) = default;
Attributes& Attributes::operator=(Attributes&&) noexcept = default;
Attributes::~Attributes() = default;

Attributes::Attributes(std::initializer_list<std::pair<std::string, Attribute>> entries) {
  for (const auto& [name, value] : entries) set(name, value);
}

void Attributes::set(std::string name, Attribute value) {
  if (!entries_) entries_ = std::make_shared<Entries>();
  if (entries_.use_count() > 1) entries_ = std::make_shared<Entries>(*entries_);
  Entries& own = *entries_;
  const auto place =
      std::lower_bound(own.begin(), own.end(), name,
                       [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
  if (place != own.end() && place->first == name) {
    place->second = std::move(value);
  } else {
    own.emplace(place, std::move(name), std::move(value));
  }
}

const Attribute* Attributes::find(std::string_view name) const {
  for (const auto& [known, value] : entries())
    if (known == name) return &value;
  return nullptr;
}

void Attributes::missing(std::string_view name) {
  throw InternalError(fmt::format("internal fault: attribute '{}' is missing or of another kind", name));
}

}  // namespace lariat
