#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"
#include "ops/kernels/alignments.hpp"
#include "ops/kernels/rows.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// Connectionist temporal classification; the equations' numbers are those of ops/kernels/alignments.hpp.
namespace ctc_loss_detail {

using alignments::add_logarithms;
using alignments::impossible;

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "logits");
  if (c.shape(0).size() != 3)
    c.fail(fmt::format("takes logits [batch, frames, classes]; got {}", text(c.shape(0))));
  const Dim batch = c.shape(0)[0];
  if (c.shape(1).size() != 2)
    c.fail(
        fmt::format("takes labels [batch, most labels], padded with 0 at the end; got {}", text(c.shape(1))));
  check_integers(c, 1, "labels", {batch, c.shape(1)[1]});
  check_integers(c, 2, "lengths", {batch});
  return {{c.in(0).dtype, {batch}}, c.in(0)};
}

struct Sizes {
  explicit Sizes(const KernelContext& k)
      : frames(k.inputs[0].extents[1]), classes(k.inputs[0].extents[2]), most(k.inputs[1].extents[1]) {}
  int64_t frames, classes, most;

  // The labels with a blank before, between and behind them: l'.
  int64_t states() const { return 2 * most + 1; }
};

// For each frame the forward variables of all states and the logarithm of the softmax's denominator, two
// frames of backward variables, and what each class occupies of a frame.
Workspace workspace(const KernelContext& k) {
  const Sizes sizes(k);
  const int64_t doubles = sizes.frames * (sizes.states() + 1) + 2 * sizes.states() + sizes.classes;
  return {0, static_cast<size_t>(doubles) * sizeof(double)};
}

// How many labels an example has. Throws UserError where they are none of a sequence of so many frames.
int64_t checked_count(const int32_t* labels, int64_t most, int64_t frames, int64_t example) {
  int64_t count = 0, blanks = 0;
  while (count < most && labels[count] != 0) ++count;
  for (int64_t i = count; i < most; ++i)
    if (labels[i] != 0)
      throw UserError(
          fmt::format("label {} of example {} stands behind a blank, at place {}; 0, the blank, pads labels "
                      "at their end alone: leave out the one at place {}",
                      labels[i], example, i, count));
  for (int64_t i = 1; i < count; ++i) blanks += labels[i] == labels[i - 1] ? 1 : 0;
  if (count + blanks > frames)
    throw UserError(fmt::format(
        "example {} has {} labels{}, which need {} frames, but it is of {}; give it more, by smaller strides "
        "say, or leave it out",
        example, count, blanks == 0 ? "" : fmt::format(" and {} blanks between equal neighbours", blanks),
        count + blanks, frames));
  return count;
}

// One example: its logits and labels, and the scratch of the thread.
template <class T>
class Example {
 public:
  Example(const T* logits, const int32_t* labels, int64_t frames, int64_t count, const Sizes& sizes,
          double* scratch)
      : logits_(logits),
        frames_(frames),
        states_(labels, count),
        classes_(sizes.classes),
        alpha_(scratch),
        denominators_(alpha_ + sizes.frames * sizes.states()),
        beta_(denominators_ + sizes.frames),
        next_beta_(beta_ + sizes.states()),
        occupied_(next_beta_ + sizes.states()) {}

  // -log p(l|x). Where `gradient` is given its frames become softmax(logits).
  double loss(T* gradient) {
    for (int64_t t = 0; t < frames_; ++t) normalise(t, gradient);
    if (frames_ == 0) return 0;
    for (int64_t t = 0; t < frames_; ++t) forward(t);
    log_probability_ = states_.log_probability(alpha_of(frames_ - 1));
    return -log_probability_;
  }

  // Subtracts from softmax(logits) what each class occupies: Σ α_t(s)·β_t(s)/p(l|x) over its states  (15, 16)
  void subtract_occupancy(T* gradient) {
    std::fill_n(occupied_, classes_, 0.0);
    for (int64_t t = frames_ - 1; t >= 0; --t) {
      backward(t);
      const double* alpha = alpha_of(t);
      for (int64_t s = 0; s < states_.count(); ++s)
        occupied_[states_.class_of(s)] += std::exp(alpha[s] + beta_[s] - log_probability_);
      T* row = gradient + t * classes_;
      for (int64_t s = 0; s < states_.count(); ++s) {
        const int64_t of = states_.class_of(s);
        double& occupied = occupied_[of];
        // Several states may be of one class.
        if (occupied == 0) continue;
        row[of] = static_cast<T>(static_cast<double>(row[of]) - occupied);
        occupied = 0;
      }
    }
  }

 private:
  // log y_t of a state's class.
  double log_output(int64_t t, int64_t state) const {
    return static_cast<double>(logits_[t * classes_ + states_.class_of(state)]) - denominators_[t];
  }
  double* alpha_of(int64_t t) { return alpha_ + t * states_.count(); }

  void normalise(int64_t t, T* gradient) {
    const T* row = logits_ + t * classes_;
    T* out = gradient == nullptr ? nullptr : gradient + t * classes_;
    const T maximum = row_maximum(row, classes_);
    const ExponentialSum sums = sum_exponentials(row, classes_, maximum, out);
    denominators_[t] = static_cast<double>(maximum) + sums.log();
    if (out == nullptr) return;
    const T scale = static_cast<T>(1 / sums.sum());
    for (int64_t j = 0; j < classes_; ++j) out[j] *= scale;
  }

  void forward(int64_t t) {
    double* now = alpha_of(t);
    states_.forward(t, frames_, now - states_.count(), now, [&](int64_t s) { return log_output(t, s); });
  }

  // β_t(s) = Σ β_{t+1}(s')·y_{t+1}(l'_s') over the states s' that follow s: (9 to 11), without y_t, which α_t
  // has.
  void backward(int64_t t) {
    const int64_t count = states_.count();
    if (t == frames_ - 1) {
      for (int64_t s = 0; s < count; ++s) beta_[s] = s + 2 >= count ? 0 : impossible;
      return;
    }
    std::swap(beta_, next_beta_);
    for (int64_t s = 0; s < count; ++s) next_beta_[s] += log_output(t + 1, s);
    for (int64_t s = 0; s < count; ++s)
      beta_[s] = add_logarithms(next_beta_[s], s + 1 < count ? next_beta_[s + 1] : impossible,
                                s + 2 < count && states_.skips(s + 2) ? next_beta_[s + 2] : impossible);
  }

  const T* logits_;
  const int64_t frames_;
  const alignments::States states_;
  const int64_t classes_;
  double *alpha_, *denominators_, *beta_, *next_beta_, *occupied_;
  double log_probability_ = 0;
};

template <class T>
void forward(const KernelContext& k) {
  const Sizes sizes(k);
  const int64_t batch = k.inputs[0].extents[0], values = sizes.frames * sizes.classes;
  const int32_t *labels = k.in<int32_t>(1), *lengths = k.in<int32_t>(2);
  if (sizes.classes == 0)
    throw UserError("there are no classes, but class 0 is the blank; give it one logit");
  check_indices(k.inputs[1], sizes.classes, "label", "classes");
  check_lengths(k.inputs[2], sizes.frames);
  for (int64_t i = 0; i < batch; ++i) checked_count(labels + i * sizes.most, sizes.most, lengths[i], i);
  k.parallel.run(batch, 1, [&](int64_t begin, int64_t end) {
    auto* scratch = reinterpret_cast<double*>(k.scratch.own(k.parallel));
    for (int64_t i = begin; i < end; ++i) {
      const int32_t* own = labels + i * sizes.most;
      T* gradient = k.out<T>(1) == nullptr ? nullptr : k.out<T>(1) + i * values;
      const int64_t count = std::find(own, own + sizes.most, 0) - own;
      Example<T> example(k.in<T>(0) + i * values, own, lengths[i], count, sizes, scratch);
      k.out<T>(0)[i] = static_cast<T>(example.loss(gradient));
      if (gradient == nullptr) continue;
      example.subtract_occupancy(gradient);
      std::fill(gradient + lengths[i] * sizes.classes, gradient + values, T(0));
    }
  });
}

// dz = dloss·(softmax(z) - occupancy)
Adjoints vjp(const GradContext& g) {
  return {reshape(g.adjoint(0), {g.in(0).shape()[0], 1, 1}) * g.out(1), Value(), Value()};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&) {
  constexpr double per_logit = 20, per_state = 120;
  const double frames = static_cast<double>(inputs[2].count()) * static_cast<double>(inputs[0].extents[1]);
  Cost cost{.flops = per_logit * static_cast<double>(inputs[0].count()) +
                     per_state * frames * static_cast<double>(2 * inputs[1].extents[1] + 1)};
  for (const auto& views : {inputs, outputs})
    for (const TensorView& view : views) cost.bytes += static_cast<double>(view.bytes());
  return cost;
}

}  // namespace ctc_loss_detail

OpDef records::ctc_loss() {
  using namespace ctc_loss_detail;
  OpDef def{.name = "ctc_loss",
            .doc =
                "-log p(labels | softmax(logits)) of each example, over all alignments of the labels with "
                "the frames.",
            .inputs = {{"logits", "f32 or f64 [batch, frames, classes]; class 0 is the blank"},
                       {"labels", "i32 [batch, most labels], each in [1, classes), padded with 0 at the end"},
                       {"lengths", "i32 [batch], the frames of each example"}},
            .outputs = {{"loss", "[batch]"},
                        {"gradient", "of each loss by its logits; 0 behind an example's end"}}};
  def.traits.second_order = false;
  def.traits.saved_outputs = 1;
  def.traits.optional_outputs = 1;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = cost;
  const auto integers = [](Extents extents, std::vector<double> values) {
    return SampleInput{.extents = std::move(extents), .values = std::move(values), .dtype = i32};
  };
  const auto log_of = [](std::vector<double> values) {
    for (double& value : values) value = std::log(value);
    return values;
  };
  // By hand: alignments counted, or products of the outputs added up.
  def.samples = {
      {"one label in 6 of 8 ways",
       {{{1, 3, 2}, std::vector<double>(6, 0.0)}, integers({1, 1}, {1}), integers({1}, {3})},
       {},
       {0.28768207245178093}},
      {"equal neighbours in one way",
       {{{1, 3, 2}, std::vector<double>(6, 0.0)}, integers({1, 2}, {1, 1}), integers({1}, {3})},
       {},
       {2.0794415416798357}},
      {"no labels, and a label in one of two frames",
       {{{2, 2, 2}, {0, 0, 0, 0, 0, 0, 9, -9}}, integers({2, 1}, {0, 1}), integers({2}, {2, 1})},
       {},
       {1.3862943611198906, 0.6931471805599453}},
      {"two labels in four frames",
       {{{1, 4, 3}, log_of({0.1, 0.7, 0.2, 0.8, 0.1, 0.1, 0.3, 0.3, 0.4, 0.7, 0.1, 0.2})},
        integers({1, 2}, {1, 2}),
        integers({1}, {4})},
       {},
       {1.1447609446940898}},
      {"large logits",
       {{{1, 2, 2}, {1e4, -1e4, -1e4, 1e4}}, integers({1, 1}, {1}), integers({1}, {2})},
       {},
       {0}},
      {"several examples",
       {{{3, 7, 5}, {}, -3, 3}, integers({3, 3}, {1, 2, 2, 4, 0, 0, 3, 1, 4}), integers({3}, {7, 5, 3})}},
      {"wide rows", {{{1, 5, 40}, {}, -3, 3}, integers({1, 2}, {39, 7}), integers({1}, {5})}},
      {"no rows", {{{0, 3, 2}}, integers({0, 2}, {}), integers({0}, {})}}};
  def.rejects = {
      {{{f32, {2, 3}}, {i32, {2, 1}}, {i32, {2}}}, {}, "takes logits [batch, frames, classes]; got [2, 3]"},
      {{{f32, {2, 3, 4}}, {i32, {2}}, {i32, {2}}},
       {},
       "takes labels [batch, most labels], padded with 0 at the end; got [2]"},
      {{{f32, {2, 3, 4}}, {i32, {3, 1}}, {i32, {2}}}, {}, "labels is i32[3, 1]; it must be i32[2, 1]"},
      {{{f32, {2, 3, 4}}, {i32, {2, 1}}, {i32, {3}}}, {}, "lengths is i32[3]; it must be i32[2]"}};
  return def;
}

Value ctc_loss(Operand logits, Operand labels, Operand lengths) {
  return build("ctc_loss", {logits, labels, lengths});
}

}  // namespace lariat
