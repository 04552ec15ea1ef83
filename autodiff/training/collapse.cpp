#include "autodiff/training/collapse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "autodiff/penalty/settling.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/plan.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

using Names = std::vector<std::string>;

// A parameter is looked at after so many steps at zero: by then those that go with it are zero as well. If it
// may yet come to life again, as others learn, it is looked at after twice as many, and taken for gone after
// so many.
constexpr int first_patience = 20, last_patience = 200;
// Batches that are kept to judge on: the first ones, up to so many and so many bytes.
constexpr size_t most_batches = 8, most_batch_bytes = size_t{64} << 20;
// A trial has so many steps, all trials together the estimated time on one thread.
constexpr int trial_steps = 300, fewest_trial_steps = 40;
constexpr double trial_microseconds = 60e6;
// Each coefficient that is tried is so much smaller than the one before it.
constexpr double coarse = 0.25, fine = 0.5, least_factor = 1e-6;
// How near to zero a parameter shows the direction that leads there, where zero itself shows none (a dead
// relu).
constexpr double nearly_zero = 1e-6;
// Zero is left alone one parameter at a time in models of up to so many; of others only where it shrinks from
// the start.
constexpr size_t few_parameters = 4, most_looked_at = 16;

// The first element from `from` on that is not 0, or -1.
int64_t nonzero_from(const Tensor& tensor, int64_t from) {
  return with_type(tensor.dtype(), [&](auto zero) -> int64_t {
    const auto values = tensor.values<decltype(zero)>();
    const auto found = std::find_if(values.begin() + from, values.end(),
                                    [](auto value) { return !(value == decltype(value)(0)); });
    return found == values.end() ? -1 : found - values.begin();
  });
}

bool is_zero(const Tensor& tensor) { return nonzero_from(tensor, 0) < 0; }

Tensor scaled(const Tensor& tensor, double factor) {
  Tensor result = tensor.clone();
  with_type(result.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (T& value : result.values<T>()) value = static_cast<T>(static_cast<double>(value) * factor);
  });
  return result;
}

// Whether no element of `now` is larger than it was, or of another sign, and some are smaller.
bool only_shrinks(const Tensor& before, const Tensor& now) {
  bool shrinks = false;
  for (int64_t i = 0; i < now.count(); ++i) {
    const double a = before.at(i), b = now.at(i);
    if (a * b < 0 || std::abs(b) > std::abs(a)) return false;
    shrinks |= b != a;
  }
  return shrinks;
}

std::string quoted(const Names& names) { return fmt::format("'{}'", fmt::join(names, "', '")); }

}  // namespace

std::vector<PenalisedParameter> parameters_made_zero(const std::vector<Value>& parameters,
                                                     const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, PenalisedParameter> found;
  // Structured terms can make a whole parameter zero though none of its elements settles by itself.
  const auto makes_zero = [](const PenaltyTerm& term) {
    return settles(term) || (!term.scalar && !term.combines && term.penalty->nonsmooth);
  };
  for (const PenaltyTerm& term : terms)
    if (makes_zero(term))
      for (const std::string& name : term.parameters) found[name].coefficients.push_back(term.coefficient);
  std::vector<PenalisedParameter> result;
  for (const Value parameter : parameters) {
    const auto own = found.find(parameter.name());
    if (own == found.end() || element_count(parameter.shape()) == Dim(0)) continue;
    result.push_back({parameter.name(), std::move(own->second.coefficients)});
  }
  return result;
}

void scale_kinks(std::vector<PenaltyTerm>& terms, Value factor) {
  const auto scale = [&](Value& weight) {
    if (weight) weight = weight * cast(factor, weight.dtype());
  };
  for (PenaltyTerm& term : terms) {
    if (!term.scalar) {
      scale(term.weight);
    } else {
      for (ScalarTerm::Kink& kink : term.scalar->kinks) scale(kink.below), scale(kink.above);
    }
  }
}

struct CollapseWatch::Implementation {
  struct Watched {
    PenalisedParameter parameter;
    int64_t alive = 0;  // an element that was not 0 when it was last looked at
    int zero_steps = 0, patience = first_patience;
    bool told = false;
    bool frozen = false;  // whether zeros stay whatever the gradient, so that they say nothing of the penalty
    bool lived = false;   // whether some element was seen that is not 0
  };
  std::vector<Watched> watched;
  Rehearsal rehearsal;
  std::function<void(const std::string&)> warn;
  std::vector<Feeds> batches;
  size_t batch_bytes = 0;
  bool settled = false;
  std::unique_ptr<Program> program;
  Names outputs;

  struct Outcome {
    double loss = 0, penalty = 0;
    std::map<std::string, double> gradients, live;  // by parameter; of those that are frozen, of what is not
  };

  Program& step() {
    if (program) return *program;
    const auto graph = rehearsal.step();
    program = std::make_unique<Program>(*graph);
    for (const Output& output : program->graph().outputs())
      if (!output.is_update) outputs.push_back(output.name);
    return *program;
  }

  Feeds feeds_of(const Feeds& batch, double factor) {
    Feeds feeds = rehearsal.feeds(batch);
    feeds.emplace(Rehearsal::factor, Tensor::scalar(factor, f64));
    return feeds;
  }

  Outcome run(const Feeds& batch, double factor, Store& store) {
    Program& once = step();
    const std::vector<Tensor> results = once.run(feeds_of(batch, factor), store, *rehearsal.executor);
    Outcome outcome;
    const std::string prefix = Rehearsal::gradient_output(""), live = Rehearsal::live_output("");
    for (size_t i = 0; i < results.size(); ++i) {
      if (outputs[i] == "loss") outcome.loss = results[i].item();
      if (outputs[i] == "penalty") outcome.penalty = results[i].item();
      if (outputs[i].starts_with(prefix))
        outcome.gradients[outputs[i].substr(prefix.size())] = results[i].item();
      if (outputs[i].starts_with(live)) outcome.live[outputs[i].substr(live.size())] = results[i].item();
    }
    return outcome;
  }

  // A state as at the first step, but with the present parameters and states of the model where `from` is
  // given.
  Store fresh(const Store* from) {
    Store store;
    initialize_store(step().graph(), store, rehearsal.seed);
    if (from != nullptr)
      for (const auto& [name, tensor] : Store(store))
        if (const Tensor* known = from->find(name); known != nullptr && known->type() == tensor.type() &&
                                                    name != "step" && !name.starts_with("optimizer/"))
          store.set(name, known->clone());
    return store;
  }

  // On the batches that are kept, with the present weights.
  struct Present {
    double loss = 0;
    std::map<std::string, double> gradients;  // the largest, by parameter
    std::map<std::string, size_t> held;       // by parameter: on how many batches a step leaves it at zero
  };
  Present present(const Store& store);
  void keep(const Feeds& batch);
  std::string coefficients(const Names& names, double factor) const;
  enum class Trial { lost, survived, diverged };
  Trial trial(double factor, int steps, double least_loss, bool all_gone);
  std::string advice(const Names& gone, double loss);
  void tell(const Store& store, bool at_end);
};

void CollapseWatch::Implementation::keep(const Feeds& batch) {
  if (batches.size() == most_batches || batch_bytes >= most_batch_bytes) return;
  const auto same_memory = [](const auto& a, const auto& b) {
    return a.second.view().data == b.second.view().data;
  };
  for (const Feeds& known : batches)
    if (std::equal(batch.begin(), batch.end(), known.begin(), known.end(), same_memory)) return;
  for (const auto& [name, tensor] : batch) batch_bytes += tensor.bytes();
  batches.push_back(batch);
}

CollapseWatch::Implementation::Present CollapseWatch::Implementation::present(const Store& store) {
  Present result;
  const Store start = fresh(&store);
  for (const Feeds& batch : batches) {
    Store copy = start;
    const Outcome outcome = run(batch, 1, copy);
    result.loss += outcome.loss / static_cast<double>(batches.size());
    for (const auto& [name, size] : outcome.gradients)
      result.gradients[name] = std::max(result.gradients[name], std::isnan(size) ? INFINITY : size);
    for (const Watched& one : watched)
      if (is_zero(start.get(one.parameter.name)))
        result.held[one.parameter.name] += is_zero(copy.get(one.parameter.name));
  }
  return result;
}

// "0.005 in place of 0.01", for all of one coefficient together.
std::string CollapseWatch::Implementation::coefficients(const Names& names, double factor) const {
  std::map<std::string, Names> by_text;
  const std::set<std::string_view> named(names.begin(), names.end());
  for (const Watched& one : watched) {
    if (!named.contains(one.parameter.name)) continue;
    std::string text;
    for (const std::optional<double>& coefficient : one.parameter.coefficients) {
      text += text.empty() ? "" : " and ";
      text += coefficient ? fmt::format("{:.2g} in place of {:.6g}", *coefficient * factor, *coefficient)
                          : fmt::format("its weights times {:.2g}", factor);
    }
    by_text[text].push_back(one.parameter.name);
  }
  if (by_text.size() == 1) return by_text.begin()->first;
  std::string all;
  for (const auto& [text, of] : by_text)
    all += fmt::format("{}{} for {}", all.empty() ? "" : ", ", text, quoted(of));
  return all;
}

// Whether, trained from the start with that factor on the penalties, no penalised parameter is lost; and,
// where all are lost as it is, whether the loss falls below what it is then.
CollapseWatch::Implementation::Trial CollapseWatch::Implementation::trial(double factor, int steps,
                                                                          double least_loss, bool all_gone) {
  Store store = fresh(nullptr);
  Names living;
  for (const Watched& one : watched)
    if (!is_zero(store.get(one.parameter.name))) living.push_back(one.parameter.name);
  const auto lost = [&](const std::string& name) { return is_zero(store.get(name)); };
  int all_zero_steps = 0;
  double sum = 0;
  for (int i = 0; i < steps; ++i) {
    if (rehearsal.stop != nullptr && *rehearsal.stop) throw UserError("the training was told to stop");
    const size_t at = static_cast<size_t>(i) % batches.size();
    if (at == 0) sum = 0;
    Outcome outcome;
    try {
      outcome = run(batches[at], factor, store);
    } catch (const JobError&) {
      return Trial::diverged;  // the checks within a step have ended it
    }
    // Both are infinite where the first weights are outside a bound.
    if (!std::isfinite(outcome.loss) && outcome.penalty != INFINITY) return Trial::diverged;
    sum += std::isfinite(outcome.penalty) ? outcome.loss - outcome.penalty + factor * outcome.penalty
                                          : outcome.penalty;
    all_zero_steps = std::all_of(living.begin(), living.end(), lost) ? all_zero_steps + 1 : 0;
    if (!living.empty() && all_zero_steps >= first_patience) return Trial::lost;
    const bool learns = at + 1 == batches.size() && sum < static_cast<double>(batches.size()) * least_loss;
    if (all_gone && learns && i >= fewest_trial_steps && std::none_of(living.begin(), living.end(), lost))
      return Trial::survived;
  }
  return !all_gone && std::none_of(living.begin(), living.end(), lost) ? Trial::survived : Trial::lost;
}

// Which coefficients would leave something, and how that is known.
std::string CollapseWatch::Implementation::advice(const Names& gone, double loss) {
  const std::string on = batches.front().empty() ? ""
                         : batches.size() == 1   ? " on the first batch"
                                                 : fmt::format(" on the first {} batches", batches.size());
  double microseconds = 0;
  for (const Step& each : step().plan(feeds_of(batches.front(), 1)).steps())
    microseconds += each.microseconds;
  const int affordable =
      static_cast<int>(std::min(trial_microseconds / std::max(microseconds, 1.0) / 6, 1e6));
  const int steps = std::min(trial_steps, affordable);
  if (steps >= fewest_trial_steps && std::isfinite(loss)) {
    const bool all_gone = gone.size() == watched.size();
    // A figure that a loss must be clearly below, and not by rounding.
    const double least_loss = loss - 1e-3 * std::abs(loss);
    bool some_diverged = false;
    for (double factor = coarse; factor >= least_factor; factor *= coarse) {
      const Trial with = trial(factor, steps, least_loss, all_gone);
      some_diverged |= with == Trial::diverged;
      if (with == Trial::lost) continue;
      // A penalty may be what keeps a training from diverging.
      const double larger = factor / coarse * fine;
      if (trial(larger, steps, least_loss, all_gone) == Trial::survived) {
        factor = larger;
      } else if (with == Trial::diverged) {
        continue;
      }
      return fmt::format("with {} more than zeros was left, in a trial of {} steps from the start{}",
                         coefficients(gone, factor), steps, on);
    }
    return fmt::format(
        "no smaller coefficient left more than zeros, in trials of {} steps from the start{}{}", steps, on,
        some_diverged ? ", some of which diverged; lower the learning rate first" : "");
  }
  Store initial = fresh(nullptr);
  const std::map<std::string, double> gradients = run(batches.front(), 1, initial).gradients;
  Names figures;
  for (const std::string& name : gone)
    figures.push_back(fmt::format("{:.2g} for '{}'", gradients.at(name) / 10, name));
  return fmt::format(
      "try coefficients of at most a tenth of the largest gradient at the start, which on the first batch is "
      "{}",
      fmt::join(figures, ", "));
}

void CollapseWatch::Implementation::tell(const Store& store, bool at_end) {
  if (batches.empty()) return;
  std::string line;
  try {
    const Present now = present(store);
    Names gone, all_gone, hungry;
    const bool all_zero = now.held.size() == watched.size();
    for (Watched& one : watched) {
      const auto held = now.held.find(one.parameter.name);
      if (held == now.held.end() || (one.frozen && !one.lived)) continue;
      const bool stays = settled || 2 * held->second >= batches.size();
      const bool for_good =
          all_zero || at_end || one.zero_steps >= last_patience || now.gradients.at(one.parameter.name) == 0;
      if (!one.told && !(stays && for_good)) continue;
      all_gone.push_back(one.parameter.name);
      if (!one.told) gone.push_back(one.parameter.name);
      one.told = true;
    }
    for (Watched& one : watched)
      if (one.zero_steps >= one.patience) one.patience *= 2;
    if (gone.empty()) return;
    line = fmt::format("L201: all of {} {} zero: the penalty outweighs what the data say", quoted(gone),
                       gone.size() == 1 ? "is" : "are");
    const std::set<std::string_view> zero(all_gone.begin(), all_gone.end());
    for (const auto& [name, size] : now.gradients)
      if (size == 0 && store.get(name).count() > 0 && !zero.contains(name)) hungry.push_back(name);
    if (!hungry.empty()) line += fmt::format("; no gradient reaches {} any more", quoted(hungry));
    line += "; " + advice(all_gone, now.loss);
  } catch (const std::exception& error) {
    // A training goes on where it cannot be judged.
    for (Watched& one : watched) one.patience *= 2;
    if (line.empty()) return;
    line += fmt::format("; lower the coefficient (how far could not be tried: {})", error.what());
  }
  warn(line);
}

CollapseWatch::CollapseWatch(std::vector<PenalisedParameter> parameters, Rehearsal rehearsal,
                             std::function<void(const std::string&)> warn)
    : self_(std::make_unique<Implementation>()) {
  for (PenalisedParameter& parameter : parameters) self_->watched.push_back({std::move(parameter)});
  self_->rehearsal = std::move(rehearsal);
  const std::vector<std::string>& frozen = self_->rehearsal.frozen;
  for (Implementation::Watched& one : self_->watched)
    one.frozen = std::find(frozen.begin(), frozen.end(), one.parameter.name) != frozen.end();
  self_->warn = std::move(warn);
}

CollapseWatch::~CollapseWatch() = default;

void CollapseWatch::step_done(const Feeds& batch, const Store& store, bool moves, bool settled) {
  Implementation& self = *self_;
  if (!self.warn || self.watched.empty()) return;
  self.keep(batch);
  self.settled = settled;
  if (!moves) return;
  bool due = false;
  for (Implementation::Watched& one : self.watched) {
    const Tensor* tensor = store.find(one.parameter.name);
    if (one.told || tensor == nullptr || tensor->count() == 0) continue;
    // Nearly always the element that was alive the last time is alive.
    int64_t alive = one.alive < tensor->count() ? nonzero_from(*tensor, one.alive) : -1;
    if (alive < 0) alive = nonzero_from(*tensor, 0);
    one.alive = std::max<int64_t>(alive, 0);
    one.lived |= alive >= 0;
    one.zero_steps = alive < 0 && (one.lived || !one.frozen) ? one.zero_steps + 1 : 0;
    due |= one.zero_steps >= one.patience;
  }
  if (due) self.tell(store, false);
}

void CollapseWatch::look(const Store& store) {
  const bool due = std::any_of(self_->watched.begin(), self_->watched.end(),
                               [](const auto& one) { return !one.told && one.zero_steps > 1; });
  if (self_->warn && due) self_->tell(store, true);
}

std::vector<std::string> CollapseWatch::stationary_at_zero(const Feeds& batch, const Store& store) {
  Implementation& self = *self_;
  if (self.watched.empty()) return {};
  const Store present = self.fresh(&store);
  Names names;
  std::set<std::string> frozen;
  for (Implementation::Watched& one : self.watched) {
    names.push_back(one.parameter.name);
    one.lived |= !is_zero(present.get(one.parameter.name));
    if (one.frozen) frozen.insert(one.parameter.name);
  }
  if (names.size() > few_parameters) {
    Store next = present;
    self.run(batch, 1, next);
    std::erase_if(names, [&](const auto& name) { return !only_shrinks(present.get(name), next.get(name)); });
    if (names.size() > most_looked_at) names.resize(most_looked_at);
  }
  std::map<std::string, double> found;  // and the largest gradient there
  for (const std::string& name : names)
    for (const double near : {0.0, nearly_zero}) {
      // At zero nothing that is frozen moves; near it the elements that are not zero show where they go.
      if (near == 0 && frozen.contains(name)) continue;
      Store at = present;
      at.set(name, scaled(present.get(name), near));
      const Implementation::Outcome outcome = self.run(batch, 1, at);
      const double size = (frozen.contains(name) ? outcome.live : outcome.gradients).at(name);
      if (size > 0 && is_zero(at.get(name))) found[name] = size;
      if (size > 0) break;
    }
  std::vector<std::string> lines;
  for (const auto& [name, size] : found)
    lines.push_back(fmt::format(
        "L201: '{}' is stationary where all of it is zero: the penalty outweighs its gradient, at most "
        "{:.3g} on the first batch; lower the coefficient if that is not meant",
        name, size));
  if (found.empty()) return lines;

  // What goes with them: zeros of a layer starve the layers before and behind it.
  Names zeros, hungry;
  Store with = present, without = present;
  for (const auto& [name, size] : found) {
    zeros.push_back(name);
    without.set(name, scaled(present.get(name), 0));
  }
  const auto before = self.run(batch, 1, with).gradients, after = self.run(batch, 1, without).gradients;
  for (const auto& [name, size] : after)
    if (size == 0 && before.at(name) > 0 && !found.contains(name)) hungry.push_back(name);
  if (!hungry.empty())
    lines.push_back(fmt::format("L201: no gradient reaches {} where {} {} zero", quoted(hungry),
                                quoted(zeros), zeros.size() == 1 ? "is" : "are"));
  return lines;
}

}  // namespace lariat
