#include "frontends/sequential/callbacks/callback_parts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "frontends/data/foreign_names.hpp"
#include "frontends/sequential/metric.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

const std::vector<CallbackKind>& callback_kinds() {
  static const std::vector<CallbackKind> kinds = {
#define LARIAT_CALLBACK(name) callback_records::name(),
#include "callback_records.inc"
#undef LARIAT_CALLBACK
  };
  return kinds;
}

const SpecKinds& callback_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds result;
    for (const CallbackKind& kind : callback_kinds()) result.push_back(&kind.spec);
    return result;
  }();
  return kinds;
}

Callback make_callback(const Spec& spec) {
  const auto found = std::find_if(callback_kinds().begin(), callback_kinds().end(),
                                  [&](const CallbackKind& kind) { return kind.spec.name == spec.kind; });
  require(found != callback_kinds().end(), "a callback is of a listed kind");
  return found->make(spec);
}

std::string Callback::file_of(const std::string& model) const {
  for (const auto& [name, text] : spec.options)
    if ((name == "file" || name == "folder") && !text.empty()) return text;
  return model.empty() || ending.empty() ? std::string() : model + ending;
}

namespace callback_parts {

MetricValues figures_of(const EpochReport& report) {
  MetricValues figures{{"loss", report.loss}, {"smooth", report.smooth}, {"penalty", report.penalty}};
  figures.insert(figures.end(), report.metrics.begin(), report.metrics.end());
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) figures.emplace_back(name, *value);
  };
  add("validation_loss", report.validation_loss);
  for (const auto& [name, value] : report.validation_metrics)
    figures.emplace_back("validation_" + name, value);
  figures.emplace_back("zeros", report.penalised.fraction());
  add("support_changes", report.support_changes);
  add("prox_residual", report.prox_residual);
  add("distance", report.distance);
  figures.emplace_back("learning_rate", report.learning_rate);
  figures.emplace_back("penalty_strength", report.penalty_strength);
  return figures;
}

std::optional<double> figure_of(const EpochReport& report, const std::string& wanted) {
  for (const auto& [name, value] : figures_of(report))
    if (name == wanted) return value;
  return std::nullopt;
}

namespace {

// Keras says val_acc and val_loss.
std::string figure_meant(const std::string& name, const std::vector<std::string>& figures) {
  const std::string ours = "validation_", theirs = "val_";
  const std::string prefix = name.starts_with(ours) || name.starts_with(theirs) ? ours : "";
  const std::string base =
      prefix.empty() ? name : name.substr(name.starts_with(ours) ? ours.size() : theirs.size());
  std::vector<std::string> bases;
  for (const std::string& figure : figures)
    if (figure.starts_with(ours) == !prefix.empty()) bases.push_back(figure.substr(prefix.size()));
  const std::vector<std::string> known = data::known_as(base, bases);
  const std::string metric = base.substr(base.rfind('/') + 1);
  for (const MetricKind& kind : metric_kinds())
    if (!prefix.empty() && known.empty() && kind.spec.name == metric)
      return fmt::format(" The model does not measure {}: add it to its metrics ([metrics] kinds).", metric);
  return did_you_mean(prefix + (known.size() == 1 ? known.front() : base), figures);
}

}  // namespace

void Monitor::begin(const FitView& view) {
  name_ = !options_.monitor.empty() ? options_.monitor : view.validates ? "validation_loss" : "loss";
  const auto is_known = [&](const std::string& figure) {
    return name_ == figure || name_.starts_with(figure + "/");
  };
  if (!view.validates && name_.starts_with("validation_"))
    throw UserError(
        fmt::format("{}monitor = {}, but there are no validation data; give some (validation of [data], "
                    "or of FitOptions), or monitor loss",
                    view.place, name_));
  if (std::none_of(view.figures.begin(), view.figures.end(), is_known))
    throw UserError(fmt::format("{}monitor = {}: an epoch has no such figure.{}", view.place, name_,
                                figure_meant(name_, view.figures)));
  const auto has = [&](const char* part) { return name_.find(part) != std::string::npos; };
  grows_ = options_.goal == Goal::automatic
               ? !(has("loss") || has("error") || has("residual") || name_ == "distance" ||
                   name_ == "smooth" || name_ == "penalty" || name_ == "support_changes")
               : options_.goal == Goal::most;
  if (epoch_ == 0) best_ = grows_ ? -INFINITY : INFINITY;
  if (options_.zeros > 0) need_zeros(view);
}

double Monitor::value(const FitView& view, const EpochReport& report) const {
  if (const std::optional<double> value = figure_of(report, name_)) return *value;
  // Of a metric by class, whose names are known by now.
  if (name_.find('/') != std::string::npos) {
    std::vector<std::string> known;
    for (const auto& [name, value] : figures_of(report)) known.push_back(name);
    throw UserError(fmt::format("{}monitor = {}: an epoch has no such figure.{}", view.place, name_,
                                did_you_mean(name_, known)));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

bool Monitor::is_best(const FitView& view, const EpochReport& report) {
  const double now = value(view, report);
  if (report.penalised.fraction() < options_.zeros) return false;
  // NaN is never better.
  if (!(behind(now) < -options_.least_change)) return false;
  best_ = now;
  epoch_ = report.epoch;
  return true;
}

std::string Monitor::state() const {
  return to_text(Json{{"best", epoch_ == 0 ? Json(nullptr) : finite_or_null(best_)}, {"epoch", epoch_}});
}

void Monitor::restore(const std::string& state) {
  const Json object = parse_json(state);
  epoch_ = object.at("epoch").get<int64_t>();
  if (epoch_ > 0) best_ = object.at("best").get<double>();
}

namespace {

std::string kept_name(const FitView& view, const std::string& parameter) { return view.kept + parameter; }

// What a model is at inference.
std::vector<std::string> names_of_model(const FitView& view) {
  std::vector<std::string> names = view.parameters;
  names.insert(names.end(), view.statistics.begin(), view.statistics.end());
  return names;
}

void copy_bits(const Tensor& from, const Tensor& to) {
  std::memcpy(to.view().data, from.view().data, from.bytes());
}

}  // namespace

void keep_weights(FitView& view) {
  for (const std::string& name : names_of_model(view)) {
    const Tensor now = view.store.get(name);
    const Tensor* kept = view.store.find(kept_name(view, name));
    if (kept != nullptr) {
      copy_bits(now, *kept);
    } else {
      view.store.set(kept_name(view, name), now.clone());
    }
  }
}

void bring_back_weights(FitView& view) {
  for (const std::string& name : names_of_model(view))
    if (const Tensor* kept = view.store.find(kept_name(view, name))) copy_bits(*kept, view.store.get(name));
}

std::string file_of(const FitView& view, const std::string& key, const std::string& file,
                    const std::string& ending) {
  if (!file.empty()) return file;
  if (view.out.empty())
    throw UserError(
        fmt::format("{}{} is empty, and the model is not saved, after whose file it would be named; "
                    "set {}",
                    view.place, key, key));
  return view.out + ending;
}

void append_to(const std::string& file, std::string_view text) {
  const auto fail = [&](int error) {
    throw UserError(fmt::format("cannot write '{}': {}; check the path and the space that is left", file,
                                std::generic_category().message(error)));
  };
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(errno);
  int error = 0;
  while (!text.empty() && error == 0) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
    if (written == 0 || (written < 0 && errno != EINTR)) error = written < 0 ? errno : EIO;
  }
  if (::close(descriptor) != 0 && error == 0 && errno != EINTR) error = errno;
  if (error != 0) fail(error);
}

void Average::begin(const FitView& view) const {
  const int64_t first = std::llround(start_ * static_cast<double>(view.total_steps));
  if (view.penalised.empty() || keep_zeros_ || view.settle_step <= first) return;
  view.warn(
      fmt::format("{}averages of weights are not sparse: a weight is zero in the average only where it was "
                  "zero all along; set "
                  "keep_zeros = true, or start once zeros stay zero (settle_from, at most start = {})",
                  view.place, start_));
}

bool Average::has_started(const FitView& view, int64_t steps) const {
  return steps - view.first_step >= std::llround(start_ * static_cast<double>(view.total_steps));
}

void Average::add(FitView& view, double share) {
  if (count_++ == 0) return keep_weights(view);
  for (const std::string& name : names_of_model(view)) {
    const Tensor now = view.store.get(name);
    // A checkpoint may be older than what is kept.
    if (view.store.find(kept_name(view, name)) == nullptr) view.store.set(kept_name(view, name), now.clone());
    const Tensor average = view.store.get(kept_name(view, name));
    with_type(now.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* w = now.data<T>();
      T* a = average.data<T>();
      for (int64_t i = 0; i < now.count(); ++i)
        a[i] = static_cast<T>(a[i] + share * (double(w[i]) - double(a[i])));
    });
  }
}

void Average::end(FitView& view) const {
  if (count_ == 0) return;
  if (keep_zeros_) {
    for (const std::string& name : view.parameters) {
      const Tensor now = view.store.get(name), average = view.store.get(kept_name(view, name));
      with_type(now.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for (int64_t i = 0; i < now.count(); ++i)
          if (now.data<T>()[i] == T(0)) average.data<T>()[i] = T(0);
      });
    }
  }
  bring_back_weights(view);
}

std::string Average::state() const { return to_text(Json{{"count", count_}}); }
void Average::restore(const std::string& state) { count_ = parse_json(state).at("count").get<int64_t>(); }

double zero_share(const FitView& view) {
  Sparsity sum;
  for (const std::string& name : view.penalised) {
    const Sparsity one = sparsity(view.store.get(name));
    sum.zeros += one.zeros;
    sum.count += one.count;
  }
  return sum.fraction();
}

void need_penalty(const FitView& view) {
  if (!view.penalised.empty()) return;
  throw UserError(
      fmt::format("{}no weight has a penalty that makes zeros; give a layer one, such as "
                  "kernel_penalty = \"l1=1e-4\"",
                  view.place));
}

void need_zeros(const FitView& view) {
  need_penalty(view);
  if (!view.rewrites)
    throw UserError(
        fmt::format("{}no weight becomes zero with rewrite = false; leave one of the two out", view.place));
}

}  // namespace callback_parts

}  // namespace lariat
