#pragma once

#include "frontends/sequential/task.hpp"
#include "frontends/spec/spec.hpp"

namespace lariat {

struct Metric;

/// What is made small: a value for each example, or each frame of one, from the model's outputs and the
/// targets.
struct Loss {
  std::string name;
  /// outputs [batch, width] or [batch, time, width]; targets as the task has them: i32 indices without the
  /// last axis, or f32 of the outputs' shape. The result is without the last axis; an example's loss is the
  /// mean over its frames.
  std::function<Value(Value outputs, Value targets)> per_example;
  /// The name of the task, by what the data are; empty: classes.
  std::function<std::string(const DataShape&)> task = {};
  /// Whether the loss itself makes probabilities of the outputs, as predictions do by the task's link.
  bool takes_logits = false;
  /// Whether predictions are the outputs as they are, whatever the task.
  bool plain_outputs = false;
  /// How recipes and model files name it; without a kind where it is none of loss_kinds().
  Spec spec = {};
  /// Of a task of sequences, in place of per_example: outputs [batch, frames, width], of which an example has
  /// lengths i32 [batch]; targets i32 [batch, most symbols], padded with 0. The result is [batch].
  std::function<Value(Value outputs, Value targets, Value lengths)> per_sequence = {};
  /// Whether only the direction of targets counts, seen from 0.
  bool of_direction = false;
  /// Of what is true or not: whether a target may lie between 0 and 1.
  bool takes_shares = true;
  /// What the loss of an example is multiplied by for what is of each class; none: 1.
  std::vector<double> class_weights = {};
};

/// The task of a loss on such data. Throws UserError where they are none of it.
const LearningTask& task_of(const Loss& loss, const DataShape& shape);

/// Throws UserError where a loss cannot be of standardised targets.
void check_standardised(const Loss& loss);

/// A kind of loss as one record.
struct LossKind {
  SpecKind spec;
  std::function<Loss(const Spec&)> make;
};
const std::vector<LossKind>& loss_kinds();
/// The same as kinds of options, softmax_cross_entropy, the default, first.
const SpecKinds& loss_spec_kinds();
/// The loss that a spec of one of these kinds describes, or a text, such as "focal gamma=3". Throws UserError
/// for a kind or an option that is none, with the nearest.
Loss make_loss(const Spec& spec);
Loss make_loss(std::string_view text);

// The losses, as C++ and recipes name them. Each throws UserError for an option out of its range. Class
// weights multiply the loss of what is of a class: one number for each, or none.

/// -Σ t·log softmax(z): of labels, one-hot targets or shares t, a share `label_smoothing` of which is spread
/// over all classes.
struct SoftmaxCrossEntropy {
  double label_smoothing = 0;
  std::vector<double> class_weights = {};
  operator Loss() const;
};
/// -w·t·log σ(z) - (1 - t)·log(1 - σ(z)) of one output for two classes, or the mean over several labels; w is
/// the weight of what is true.
struct SigmoidCrossEntropy {
  double positive_weight = 1, label_smoothing = 0;
  operator Loss() const;
};
/// -Σ t·(1 - p)^gamma·log p, p = softmax(z): what is easy counts little. Lin et al. (2017).
struct Focal {
  double gamma = 2;
  std::vector<double> class_weights = {};
  operator Loss() const;
};
/// The same of one output for two classes, or of several labels, where alpha weighs what is true and 1 -
/// alpha what is not.
struct SigmoidFocal {
  double gamma = 2, alpha = 0.25;
  operator Loss() const;
};
/// Σ t·(log t - log softmax(z)): the divergence of a model's distribution from shares t.
struct KlDivergence {
  std::vector<double> class_weights = {};
  operator Loss() const;
};
/// max(0, 1 - s·z), s = ±1 for what is true or not, of one output for two classes, or the mean over several
/// labels. Predictions are margins z. Cortes and Vapnik (1995).
struct Hinge {
  operator Loss() const;
};
/// Means over an example's numbers of e², |e|, and e²/2 where |e| <= delta, else delta·(|e| - delta/2); e is
/// output - target. The first two are metrics, too.
struct MeanSquaredError {
  operator Loss() const;
  operator Metric() const;
};
struct MeanAbsoluteError {
  operator Loss() const;
  operator Metric() const;
};
struct Huber {
  double delta = 1;
  operator Loss() const;
};
/// 1 - the cosine of the angle between outputs and targets.
struct Cosine {
  operator Loss() const;
};

/// -log of the probability of a sequence of symbols, over all ways to spread it over the frames
/// (connectionist temporal classification, Graves et al. 2006). Outputs are those of the blank, then of the
/// symbols.
struct Ctc {
  operator Loss() const;
};

/// What a loss's file says of it.
template <class Options>
struct LossRecord {
  std::string name, doc;
  Fields<Options> fields;
  Value (*per_example)(const Options&, Value outputs, Value targets);
  std::string (*task)(const DataShape&);
  bool takes_logits = false, plain_outputs = false;
  Value (*per_sequence)(const Options&, Value outputs, Value targets, Value lengths) = nullptr;
  bool of_direction = false, takes_shares = true;

  Loss loss(const Options& options) const {
    Loss loss{name, {}, task, takes_logits, plain_outputs, fields.write(name, options)};
    loss.of_direction = of_direction;
    loss.takes_shares = takes_shares;
    if constexpr (requires { options.class_weights; }) loss.class_weights = options.class_weights;
    if (per_example != nullptr)
      loss.per_example = [options, function = per_example](Value outputs, Value targets) {
        return function(options, outputs, targets);
      };
    if (per_sequence != nullptr)
      loss.per_sequence = [options, function = per_sequence](Value outputs, Value targets, Value lengths) {
        return function(options, outputs, targets, lengths);
      };
    return loss;
  }
  LossKind kind() const {
    return {fields.kind(name, doc),
            [record = *this](const Spec& spec) { return record.loss(record.fields.read(spec)); }};
  }
};

/// What several losses share.
namespace loss_parts {
std::string classes(const DataShape& shape);
/// Two classes, or several labels where there are several targets.
std::string binary_or_labels(const DataShape& shape);
std::string numbers(const DataShape& shape);
/// Targets of classes as shares: one-hot where they are indices.
Value shares(Value targets, Value like);
/// `loss` times the weight of each label's class. Throws UserError where there are others than `weights`.
Value weighted(Value loss, Value labels, int64_t classes, const std::vector<double>& weights);
/// Shares, each times the weight of its class: a loss that is linear in them is what examples of every class
/// would have, as many as its share says.
Value weighted_shares(Value targets, Value like, const std::vector<double>& weights);
}  // namespace loss_parts

}  // namespace lariat
