#include "autodiff/training/kept_weights.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/training/training_step.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

// The largest share of a parameter's elements for which leaving out the others pays, and the fewest elements;
// measured by benchmarks/zeros/sparse_training.
constexpr double densest_kept = 0.2;
constexpr int64_t smallest_kept = 4096;
// Places of weights that have become zero are left out when they are so large a share of what is kept.
constexpr double lost_share = 1.0 / 8;

int64_t nonzero_count(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return std::count_if(values.begin(), values.end(), [](float v) { return v != 0; });
}

Tensor nonzero_places(const Tensor& tensor) {
  Tensor places(i32, {nonzero_count(tensor)});
  int32_t* to = places.data<int32_t>();
  const auto values = tensor.values<float>();
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] != 0) *to++ = static_cast<int32_t>(i);
  return places;
}

bool same_places(const Tensor& a, const Tensor& b) {
  const auto x = a.values<int32_t>(), y = b.values<int32_t>();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

// Throws UserError where `places`, of a store, are none of the parameter's.
void check_kept_places(const Tensor& places, const std::string& name, const Tensor& tensor) {
  const auto refuse = [&](const std::string& why) {
    throw UserError(
        fmt::format("the state's '{}{}' is no support of '{}', which is {}: {}; start the training again",
                    kept_places_prefix, name, name, text(tensor.type()), why));
  };
  if (places.dtype() != i32 || places.extents().size() != 1) refuse("it is " + text(places.type()));
  const auto at = places.values<int32_t>();
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i] < 0 || at[i] >= tensor.count())
      refuse(fmt::format("it names place {} of {} elements", at[i], tensor.count()));
    if (i > 0 && at[i] <= at[i - 1]) refuse(fmt::format("place {} comes after {}", at[i], at[i - 1]));
  }
}

// Whether all elements of a tensor elsewhere are zero.
bool is_zero_elsewhere(const Tensor& places, const Tensor& tensor) {
  const auto at = places.values<int32_t>();
  const auto values = tensor.values<float>();
  return nonzero_count(tensor) ==
         std::count_if(at.begin(), at.end(), [&](int32_t i) { return values[static_cast<size_t>(i)] != 0; });
}

Tensor gathered_slot(const Tensor& whole, const Tensor& places) {
  Tensor kept(f32, places.extents());
  const float* from = whole.data<float>();
  float* to = kept.data<float>();
  for (const int32_t at : places.values<int32_t>()) *to++ = from[at];
  return kept;
}

Tensor scattered_slot(const Tensor& kept, const Tensor& places, const Extents& extents) {
  Tensor whole(f32, extents);
  const float* from = kept.data<float>();
  float* to = whole.data<float>();
  for (const int32_t at : places.values<int32_t>()) to[at] = *from++;
  return whole;
}

bool has_type_of(const Tensor* tensor, const Graph& graph, const std::string& name) {
  return tensor != nullptr && tensor->type() == graph.node(graph.source_id(name)).outputs[0];
}

}  // namespace

const KeptWeights::Base& KeptWeights::base(bool settled) {
  Base& base = bases_[settled ? 1 : 0];
  if (base.graph) return base;
  Graph copied;
  GraphCopy copy(step_, copied);
  for (int32_t id = 0; id < step_.size(); ++id) {
    copy.copy(id);
    if (settled && step_.node(id).name == settle_input) copy.replace(id, {copied.constant(1.0, f64)});
  }
  copy.copy_outputs();
  base.graph = optimize(copied, {.last = "sweep", .without = passes_.without});
  base.parameters = parameters_that_keep_zeros(*base.graph);
  return base;
}

void KeptWeights::look(const Store& store, const Base& base, Places& places) const {
  for (const std::string& name : base.parameters) {
    const Tensor* tensor = store.find(name);
    if (!has_type_of(tensor, *base.graph, name) || tensor->count() < smallest_kept ||
        tensor->count() > INT32_MAX)
      continue;
    const auto left = static_cast<double>(nonzero_count(*tensor));
    const auto known = places.find(name);
    const double most = known == places.end() ? densest_kept * static_cast<double>(tensor->count())
                                              : (1 - lost_share) * static_cast<double>(known->second.count());
    if (left <= most && (known == places.end() || known->second.count() > 0))
      places.insert_or_assign(name, nonzero_places(*tensor));
  }
}

void KeptWeights::build(Store& store, const Base& base, Places places) {
  unpack(store);
  places_ = std::move(places);
  store.erase_all(kept_places_prefix);
  program_.reset();
  counts_.clear();
  if (places_.empty()) return;
  std::map<std::string, KeptPlaces> kept;
  zero_slots_.clear();
  for (const auto& [name, flat] : places_) {
    const Tensor& tensor = *store.find(name);
    kept.emplace(name, kept_places(flat, tensor.extents()));
    counts_.push_back({name, flat.count(), tensor.count()});
    store.set(kept_places_prefix + name, flat.clone());
    for (const auto& [slot, values] : store)
      if (slot.starts_with("optimizer/" + name + "/") && values.type() == tensor.type() &&
          is_zero_elsewhere(flat, values))
        zero_slots_.insert(slot);
  }
  kept_ = kept_step(*base.graph, kept, zero_slots_);
  // Inputs that nothing reads may be fed all the same.
  for (int32_t id = 0; id < step_.size(); ++id)
    if (const Node& node = step_.node(id);
        node.op->traits.source == SourceKind::input && kept_.graph->source_id(node.name) < 0)
      kept_.graph->input(node.name, node.outputs[0].shape, node.outputs[0].dtype, node.where);
  program_ = std::make_unique<Program>(*kept_.graph, passes_);
}

Program* KeptWeights::prepare(Store& store, int64_t step, bool settled, int64_t first) {
  const Base& base = this->base(settled);
  if (base.parameters.empty()) return nullptr;
  Places places;
  if (changed_) {
    for (const std::string& name : base.parameters) {
      const Tensor *known = store.find(kept_places_prefix + name), *tensor = store.find(name);
      if (!known || !has_type_of(tensor, *base.graph, name)) continue;
      check_kept_places(*known, name, *tensor);
      if (is_zero_elsewhere(*known, *tensor)) places.emplace(name, known->clone());
    }
  } else {
    places = places_;
  }
  if (step % interval == 0 || (settled && step == first)) look(store, base, places);
  const bool as_before =
      settled == settled_ && places.size() == places_.size() &&
      std::equal(places.begin(), places.end(), places_.begin(), [](const auto& a, const auto& b) {
        return a.first == b.first && same_places(a.second, b.second);
      });
  settled_ = settled;
  if (!as_before) build(store, base, std::move(places));
  changed_ = false;  // which unpacking says, too
  if (program_ && !packed_) {
    for (const auto& [name, slots] : kept_.slots)
      for (const std::string& slot : slots) store.set(slot, gathered_slot(store.get(slot), places_.at(name)));
    packed_ = true;
  }
  return program_.get();
}

void KeptWeights::unpack(Store& store) {
  changed_ = true;
  if (!packed_) return;
  packed_ = false;
  for (const auto& [name, slots] : kept_.slots) {
    const Tensor &at = places_.at(name), parameter = store.get(name);
    for (const std::string& slot : slots) {
      const Tensor* kept = store.find(slot);
      if (kept && kept->dtype() == f32 && kept->extents() == at.extents())
        store.set(slot, scattered_slot(*kept, at, parameter.extents()));
    }
  }
}

}  // namespace lariat
