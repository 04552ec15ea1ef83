#pragma once

#include "frontends/sequential/activation.hpp"
#include "frontends/sequential/layer.hpp"

// The layers as C++ writes them: `Dense(512, relu, {.kernel_penalty = l1(1e-4)})`. Each throws UserError for
// an option out of its range. Sequences are [batch, time, channels] with lengths; frames behind a sequence's
// end never matter.

namespace lariat {

/// `same`: a window around every stride-th frame. `valid`: only windows that lie within the sequence.
enum class Padding { same, valid };

struct DenseOptions {
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// activation(x·kernel + bias), on each frame where x is a sequence; kernel [channels, units]. 0 units: one
/// for each class, label or number that is learned.
struct Dense : LayerSpec {
  explicit Dense(int64_t units, ActivationFunction activation = {}, const DenseOptions& options = {});
};

struct Conv1dOptions {
  int64_t stride = 1;
  Padding padding = Padding::same;
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// Convolution over time of sequences: `kernel` neighbouring frames at a time; kernel [kernel, channels,
/// filters].
struct Conv1d : LayerSpec {
  Conv1d(int64_t filters, int64_t kernel, ActivationFunction activation = {},
         const Conv1dOptions& options = {});
};

struct Conv2dOptions {
  int64_t stride_height = 1, stride_width = 1;
  Padding padding = Padding::same;
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// Convolution over height and width of images, or over time and channels of sequences; kernel
/// [kernel_height, kernel_width, channels, filters].
struct Conv2d : LayerSpec {
  Conv2d(int64_t filters, int64_t kernel_height, int64_t kernel_width, ActivationFunction activation = {},
         const Conv2dOptions& options = {});
};

struct PoolOptions {
  /// 0: as large as the window.
  int64_t stride = 0;
  Padding padding = Padding::same;
};
/// The largest of `size` neighbouring frames, per channel.
struct MaxPool1d : LayerSpec {
  explicit MaxPool1d(int64_t size, const PoolOptions& options = {});
};
/// The mean of `size` neighbouring frames, per channel, over those within the sequence.
struct AveragePool1d : LayerSpec {
  explicit AveragePool1d(int64_t size, const PoolOptions& options = {});
};

struct Pool2dOptions {
  /// 0: as high and as wide as the window.
  int64_t stride_height = 0, stride_width = 0;
  Padding padding = Padding::same;
};
/// The largest and the mean of `height` by `width` neighbouring pixels, per channel, of those within the
/// image; images as Conv2d takes them.
struct MaxPool2d : LayerSpec {
  MaxPool2d(int64_t height, int64_t width, const Pool2dOptions& options = {});
};
struct AveragePool2d : LayerSpec {
  AveragePool2d(int64_t height, int64_t width, const Pool2dOptions& options = {});
};

struct LstmOptions {
  /// The states of all frames rather than the last one.
  bool return_sequences = false;
  /// Added to the forget gate (Gers et al. 2000; 1 after Jozefowicz et al. 2015).
  double forget_bias = 1;
  /// The share of inputs that training drops.
  double dropout = 0;
  WeightPenalty kernel_penalty = {}, recurrent_penalty = {}, bias_penalty = {};
};
/// Long short-term memory; kernel [channels, 4·units], recurrent_kernel [units, 4·units], bias [4·units].
struct Lstm : LayerSpec {
  explicit Lstm(int64_t units, const LstmOptions& options = {});
};
/// One LSTM forwards and one backwards over each sequence, side by side: 2·units channels. Schuster and
/// Paliwal (1997).
struct Bidirectional : LayerSpec {
  explicit Bidirectional(const Lstm& lstm);
};

/// `frames` neighbouring frames as one frame of as many times the channels; the last one is filled up with
/// zeros. Pundak and Sainath (2016).
struct StackFrames : LayerSpec {
  explicit StackFrames(int64_t frames);
};

struct LayerNormOptions {
  double epsilon = 1e-5;
};
/// scale·(x - mean)/√(variance + ε) + offset over the channels. Ba et al. (2016).
struct LayerNorm : LayerSpec {
  explicit LayerNorm(const LayerNormOptions& options = {});
};

struct Activation : LayerSpec {
  explicit Activation(ActivationFunction function);
};
struct OpLayerOptions {
  /// The op's inputs behind the first, as "gamma = channels : 1, kernel = channels 32": sizes, of which
  /// `channels` is the input's, and behind a colon the first value, or glorot, as matrices have it by
  /// default.
  std::string weights = {};
  /// Of each of them.
  WeightPenalty weight_penalty = {};
};
/// An op, a plugin's for instance, of the layer's input and of weights; frames behind a sequence's end are 0
/// for it. `attributes` as "beta = 2, axes = 0 1".
struct OpLayer : LayerSpec {
  explicit OpLayer(const std::string& op, const std::string& attributes = {},
                   const OpLayerOptions& options = {});
};
/// Zeros a share `rate` of the values in training and scales the others by 1/(1 - rate). Srivastava et al.
/// (2014).
struct Dropout : LayerSpec {
  explicit Dropout(double rate);
};
/// [batch, height·width·channels] to images [batch, height, width, channels].
struct Image : LayerSpec {
  Image(int64_t height, int64_t width);
};
/// [batch, a, b, …] to [batch, a·b·…]; the frames of sequences that are images to [batch, time,
/// width·channels].
struct Flatten : LayerSpec {
  Flatten();
};
/// Plain data [batch, …] to [batch, shape…].
struct Reshape : LayerSpec {
  explicit Reshape(const std::vector<double>& shape);
};
/// The axes of plain data behind the batch, counted from 1, in another order.
struct Permute : LayerSpec {
  explicit Permute(const std::vector<double>& axes);
};
struct EmbeddingOptions {
  WeightPenalty table_penalty = {};
};
/// A trained vector for each of `symbols` numbers from 0: data [batch, n] to [batch, n, units], sequences
/// [batch, time, 1] to [batch, time, units]. A number that is none of them is refused when the model runs.
struct Embedding : LayerSpec {
  Embedding(int64_t symbols, int64_t units, const EmbeddingOptions& options = {});
};
/// The mean over a sequence's frames, their largest values, or its last frame: [batch, channels].
struct GlobalAveragePool : LayerSpec {
  GlobalAveragePool();
};
struct GlobalMaxPool : LayerSpec {
  GlobalMaxPool();
};
struct LastStep : LayerSpec {
  LastStep();
};

/// The sum and the product, element by element, of inputs of one shape; and inputs side by side, the channels
/// of one behind those of the other: `Concat()(left, right)` in a Model.
struct Add : LayerSpec {
  Add();
};
struct Multiply : LayerSpec {
  Multiply();
};
struct Concat : LayerSpec {
  Concat();
};

}  // namespace lariat
