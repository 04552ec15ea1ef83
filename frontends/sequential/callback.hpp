#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "frontends/spec/spec.hpp"
#include "graph/io/store.hpp"

namespace lariat {

struct EpochReport;
struct StepReport;

/// What a callback sees of a fit, and what it may change.
struct FitView {
  /// "early_stopping: ", which its messages begin with.
  std::string place;
  /// What names of tensors begin with that it keeps in the store: a checkpoint holds them.
  std::string kept;
  /// The weights, which it may write to, and all else that a training holds.
  Store& store;
  /// Those that ended, earlier ones included.
  const std::vector<EpochReport>& epochs;
  /// The names of the model's weights, and of those that a penalty makes zero in places.
  std::vector<std::string> parameters = {}, penalised = {};
  /// The names of what training computes beside the weights, and inference takes: running statistics.
  std::vector<std::string> statistics = {};
  /// What an epoch's report has, as monitor() names it; names of metrics by class have "/class" behind.
  std::vector<std::string> figures = {};
  /// Whether there are data to validate on, and whether penalties are rewritten, so that weights become zero.
  bool validates = false, rewrites = true;
  /// Steps that were done before the fit, that it has in all and in an epoch, and after which zeros stay
  /// zero.
  int64_t first_step = 0, total_steps = 0, epoch_steps = 0, settle_step = 0;
  /// What files begin with that have no name of their own; empty: there is none.
  std::string out = {};
  /// A line for the user.
  std::function<void(const std::string&)> warn = {};
  /// Writes the model with its present weights.
  std::function<void(const std::string& file)> save = {};
};

/// One callback in one fit. What it knows between two steps is in its state and in tensors that it keeps, so
/// that a fit that goes on does so to the same bits.
class CallbackRun {
 public:
  virtual ~CallbackRun() = default;
  /// Throws UserError where the fit cannot have it; writes nothing, for a fit may only be looked at.
  virtual void check(const FitView&) {}
  /// Before the first step, also of a fit that goes on, whose state is restored by then; all callbacks of the
  /// fit are checked.
  virtual void begin(FitView&) {}
  virtual void after_step(FitView&, const StepReport&) {}
  virtual void after_epoch(FitView&, const EpochReport&) {}
  /// Where a fit came to its end, which is not where it was stopped.
  virtual void end(FitView&) {}
  /// JSON, or "" where there is nothing to know.
  virtual std::string state() const { return {}; }
  /// What state() gave. Throws Json::exception where it did not.
  virtual void restore(const std::string&) {}
  /// Why the fit should end, or "".
  virtual std::string why_end() const { return {}; }
  /// Factors on the learning rate and on every penalty from the next step on.
  virtual double rate_factor() const { return 1; }
  virtual double penalty_factor() const { return 1; }
};

/// Something that is done while a model is fitted, besides.
struct Callback {
  std::string name;
  std::function<std::unique_ptr<CallbackRun>()> start;
  /// Whether it moves the strength of penalties, and whether it gives every weight a factor of its own on L1.
  bool scales_penalties = false, reweights = false;
  /// Where it writes files of its own, and changes nothing else: what their names end with behind the
  /// model's, unless its options name them.
  std::string ending = {};
  /// How recipes name it; without a kind where it is none of callback_kinds().
  Spec spec = {};
  /// Where it comes from, for messages; empty: its name.
  std::string place = {};

  bool writes_files() const { return !ending.empty(); }
  /// The file or folder that it writes, with that of the model; "": none, or none that is known.
  std::string file_of(const std::string& model) const;
};

/// A kind of callback as one record.
struct CallbackKind {
  SpecKind spec;
  std::function<Callback(const Spec&)> make;
};
const std::vector<CallbackKind>& callback_kinds();
/// The same as kinds of options.
const SpecKinds& callback_spec_kinds();
/// The callback that a spec of one of these kinds describes.
Callback make_callback(const Spec& spec);

/// What a callback's file says of it.
template <class Options>
struct CallbackRecord {
  std::string name, doc;
  Fields<Options> fields;
  std::unique_ptr<CallbackRun> (*start)(const Options&);
  bool scales_penalties = false, reweights = false;
  std::string ending = {};

  Callback callback(const Options& options) const {
    return {name,
            [options, function = start] { return function(options); },
            scales_penalties,
            reweights,
            ending,
            fields.write(name, options),
            {}};
  }
  CallbackKind kind() const {
    return {fields.kind(name, doc),
            [record = *this](const Spec& spec) { return record.callback(record.fields.read(spec)); }};
  }
};

}  // namespace lariat
