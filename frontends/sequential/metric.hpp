#pragma once

#include "frontends/sequential/task.hpp"
#include "frontends/spec/spec.hpp"

namespace lariat {

/// What is looked at, beside the loss.
struct Metric {
  std::string name;
  /// What is cheap to follow in training: a value for each example, or each frame, from the outputs and the
  /// targets: i32 indices of classes, or f32 of the outputs' shape. Epochs report means over their examples,
  /// by weight.
  std::function<Value(Value outputs, Value targets)> per_example = {};
  /// What an evaluation reports, exact over its data; empty: the mean of per_example.
  std::function<MetricValues(const Outcome&)> over_data = {};
  /// The tasks that it fits; empty: any.
  std::vector<std::string> tasks = {};
  /// How recipes and model files name it; without a kind where it is none of metric_kinds().
  Spec spec = {};
  /// Why it says nothing where so many things are learned, with what would; or "". Empty: it always does.
  std::function<std::string(int64_t outputs)> vain = {};
};

/// A kind of metric as one record.
struct MetricKind {
  SpecKind spec;
  std::function<Metric(const Spec&)> make;
};
const std::vector<MetricKind>& metric_kinds();
/// The same as kinds of options.
const SpecKinds& metric_spec_kinds();
/// The metric that a spec of one of these kinds describes, or a text, such as "f1 average=micro". Throws
/// UserError for a kind or an option that is none, with the nearest.
Metric make_metric(const Spec& spec);
Metric make_metric(std::string_view text);

/// What each of some metrics is called in figures: its name, and of several of one name those with other
/// options than the usual ones with these behind it, as f1 and f1_micro. Throws UserError for one that is
/// there twice.
std::vector<std::string> metric_names(const std::vector<Metric>& metrics);
/// The given metrics under these names, or the task's own where there are none. Throws UserError for one that
/// does not fit the task, is there twice, or says nothing of so many outputs; 0: nobody knows.
std::vector<Metric> metrics_for(const LearningTask& task, const std::vector<Metric>& given,
                                int64_t outputs = 0);

// The metrics, as C++ and recipes name them, beside MeanSquaredError and MeanAbsoluteError (loss.hpp), over
// all numbers and examples. All count examples by their weights.

/// The share of right answers; of several labels, that of right ones among all decisions.
struct Accuracy {
  operator Metric() const;
};
/// The share of examples whose class is among the k most likely.
struct TopK {
  int64_t k = 5;
  operator Metric() const;
};
/// How much of what is said is so, how much of what is so is said, and their harmonic mean; 0 where nothing
/// is.
struct Precision {
  Average average = Average::macro;
  operator Metric() const;
};
struct Recall {
  Average average = Average::macro;
  operator Metric() const;
};
struct F1 {
  Average average = Average::macro;
  operator Metric() const;
};
/// The area under the ROC curve: how often what is true is more probable than what is not; equal ones count
/// half. Of several classes each against the others; those that are never, or always, true have none.
struct Auc {
  Average average = Average::macro;
  operator Metric() const;
};
/// Σ (recall - the one before)·precision over all thresholds.
struct AveragePrecision {
  Average average = Average::macro;
  operator Metric() const;
};
/// 1 - Σe²/Σ(target - mean target)², the mean over the numbers that are learned.
struct R2 {
  operator Metric() const;
};
/// Of sequences, the substitutions, insertions and deletions of all examples (Levenshtein) over the number of
/// their symbols: the word error rate where symbols are words. It may be above 1.
struct SymbolErrorRate {
  operator Metric() const;
};
/// The share of sequences that are right from end to end.
struct SequenceAccuracy {
  operator Metric() const;
};

/// What a metric's file says of it.
template <class Options>
struct MetricRecord {
  std::string name, doc;
  Fields<Options> fields;
  std::vector<std::string> tasks;
  MetricValues (*over_data)(const Options&, const Outcome&);
  Value (*per_example)(Value outputs, Value targets) = nullptr;
  std::string (*vain)(const Options&, int64_t outputs) = nullptr;

  Metric metric(const Options& options) const {
    Metric metric{
        name, per_example,
        [options, function = over_data](const Outcome& outcome) { return function(options, outcome); }, tasks,
        fields.write(name, options)};
    if (vain != nullptr)
      metric.vain = [options, function = vain](int64_t outputs) { return function(options, outputs); };
    return metric;
  }
  MetricKind kind() const {
    return {fields.kind(name, doc),
            [record = *this](const Spec& spec) { return record.metric(record.fields.read(spec)); }};
  }
};

/// What several metrics share.
namespace metric_parts {
inline const std::vector<std::string> decisions{"classes", "binary", "labels"};
/// The option `average` of what has a value for each class or label.
template <class Options>
Fields<Options> average_fields() {
  return Fields<Options>().choice("average", &Options::average, average_names,
                                  "how the values of classes become one; none: each has its own");
}
/// Rows of equal output: the weight of those that are true, and of those that are not.
struct Tie {
  double positive = 0, negative = 0;
};
/// From the most probable row of columns, each as often as there are of these, to the least. NaN comes last.
std::vector<Tie> ranked(const Outcome& outcome, int64_t first, int64_t end);
/// A score of each column's ranking as `average` has it; micro: that of one ranking of all.
MetricValues of_rankings(const std::string& name, const Outcome& outcome, Average average,
                         double (*score)(const std::vector<Tie>&));
}  // namespace metric_parts

}  // namespace lariat
