#include "frontends/spec/activation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "frontends/data/foreign_names.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double any = std::numeric_limits<double>::infinity();

struct Entry {
  const char* name;
  Value (*function)(Operand);
  ValueRange range = {-any, any};
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      {"linear", [](Operand x) { return x.value; }},
      {"elu", [](Operand x) { return elu(x); }, {-1, any}},
      {"gelu", gelu, {-0.17, any}},
      {"leaky_relu", [](Operand x) { return leaky_relu(x); }},
      {"relu", relu, {0, any}},
      {"sigmoid", sigmoid, {0, 1}},
      {"silu", silu, {-0.28, any}},
      {"softplus", softplus, {0, any}},
      {"tanh", tanh, {-1, 1}},
  };
  return list;
}

}  // namespace

ActivationFunction::ActivationFunction(Value (*function)(Operand)) {
  const auto found = std::find_if(entries().begin(), entries().end(),
                                  [&](const Entry& entry) { return entry.function == function; });
  if (found == entries().end())
    throw UserError(fmt::format("the activation is no function that layers know; give one of {}",
                                fmt::join(activation_names(), ", ")));
  index_ = static_cast<size_t>(found - entries().begin());
}

ActivationFunction::ActivationFunction(std::string_view name) {
  const std::vector<std::string>& names = activation_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw UserError(fmt::format(
        "there is no activation '{}'.{}{}", name, data::what_was_meant(name, names),
        name.find("softmax") == name.npos ? "" : " Losses of classes have their own softmax: leave it out"));
  index_ = static_cast<size_t>(found - names.begin());
}

Value ActivationFunction::operator()(Value x) const { return entries().at(index_).function(x); }

ValueRange range_of_activation(std::string_view name) {
  for (const Entry& entry : entries())
    if (entry.name == name) return entry.range;
  return {-any, any};
}

std::string ValueRange::text() const {
  return highest == any ? fmt::format("from {}", lowest) : fmt::format("from {} to {}", lowest, highest);
}

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const Entry& entry : entries()) result.emplace_back(entry.name);
    return result;
  }();
  return names;
}

}  // namespace lariat
