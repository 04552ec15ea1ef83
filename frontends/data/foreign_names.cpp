#include "frontends/data/foreign_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

struct Foreign {
  std::string_view theirs, ours;
};

// In lower case, without underscores.
constexpr Foreign names[] = {
    // Options.
    {"kernelregularizer", "kernel_penalty"},
    {"biasregularizer", "bias_penalty"},
    {"recurrentregularizer", "recurrent_penalty"},
    {"regularizer", "kernel_penalty"},
    {"l1", "kernel_penalty"},
    {"l2", "kernel_penalty"},
    {"penalty", "kernel_penalty"},
    {"lr", "learning_rate"},
    {"eta", "learning_rate"},
    {"alpha", "learning_rate"},
    {"stepsize", "learning_rate"},
    {"units", "filters"},
    {"outchannels", "filters"},
    {"channels", "filters"},
    {"filters", "units"},
    {"hiddensize", "units"},
    {"outfeatures", "units"},
    {"numunits", "units"},
    {"size", "units"},
    {"neurons", "units"},
    {"kernelsize", "kernel"},
    {"kernelsize", "kernel_height"},
    {"kernelsize", "kernel_width"},
    {"strides", "stride"},
    {"strides", "stride_height"},
    {"strides", "stride_width"},
    {"stride", "stride_height"},
    {"stride", "stride_width"},
    {"poolsize", "size"},
    {"poolsize", "height"},
    {"poolsize", "width"},
    {"returnstate", "initial_state"},
    {"dilationrate", "dilation"},
    {"dilationrate", "dilation_height"},
    {"dilationrate", "dilation_width"},
    {"dilations", "dilation"},
    {"depthwise", "groups"},
    {"featuregroupcount", "groups"},
    {"depthmultiplier", "filters"},
    {"causal", "padding"},
    {"p", "rate"},
    {"dropout", "rate"},
    {"rate", "dropout"},
    {"probability", "rate"},
    {"eps", "epsilon"},
    {"beta1", "beta1"},
    {"beta2", "beta2"},
    {"rho", "decay"},
    {"numepochs", "epochs"},
    {"maxepochs", "epochs"},
    {"maxiter", "epochs"},
    {"batch", "batch_size"},
    {"nonlinearity", "activation"},
    {"bias", "use_bias"},
    {"inputs", "input"},
    {"frozen", "trainable"},
    {"freeze", "trainable"},
    {"requiresgrad", "trainable"},
    {"lowcut", "band_low"},
    {"highcut", "band_high"},
    {"returnsequence", "return_sequences"},
    {"gammaregularizer", "gamma_penalty"},
    {"betaregularizer", "beta_penalty"},
    {"stddev", "deviation"},
    {"std", "deviation"},
    {"maskvalue", "value"},
    {"affine", "scale"},
    {"randomstate", "seed"},
    {"gradientclipping", "clip_norm"},
    {"clipnorm", "clip_norm"},
    {"maxgradnorm", "clip_norm"},
    {"clipvalue", "clip_value"},
    {"validationsplit", "validation"},
    {"testsize", "testing"},
    {"file", "path"},
    {"folder", "path"},
    {"y", "target"},
    {"label", "target"},
    {"samplerate", "sample_frequency"},
    {"nmels", "num_mel_bins"},
    {"nmfcc", "num_ceps"},
    {"beamwidth", "beam"},
    {"beamsize", "beam"},
    {"transcript", "label"},
    {"text", "label"},
    {"tokens", "symbols"},
    {"vocabulary", "symbols"},
    {"posweight", "positive_weight"},
    {"classweight", "class_weights"},
    {"weight", "class_weights"},
    // Kinds.
    {"linear", "dense"},
    {"fullyconnected", "dense"},
    {"conv", "conv1d"},
    {"depthwiseconv1d", "conv1d"},
    {"depthwiseconv2d", "conv2d"},
    {"concatenate", "concat"},
    {"cat", "concat"},
    {"mul", "multiply"},
    {"batchnormalization", "batch_norm"},
    {"batchnorm1d", "batch_norm"},
    {"layernormalization", "layer_norm"},
    {"batchnorm2d", "batch_norm"},
    {"rnn", "simple_rnn"},
    {"elman", "simple_rnn"},
    {"bilstm", "bidirectional_lstm"},
    {"bidirectional", "bidirectional_lstm"},
    {"bigru", "bidirectional_gru"},
    {"noise", "gaussian_noise"},
    {"maxpooling1d", "max_pool1d"},
    {"maxpooling2d", "max_pool2d"},
    {"averagepooling1d", "average_pool1d"},
    {"averagepooling2d", "average_pool2d"},
    {"globalaveragepooling1d", "global_average_pool"},
    {"globalmaxpooling1d", "global_max_pool"},
    {"globalaveragepooling2d", "global_average_pool"},
    {"globalmaxpooling2d", "global_max_pool"},
    {"categoricalcrossentropy", "softmax_cross_entropy"},
    {"sparsecategoricalcrossentropy", "softmax_cross_entropy"},
    {"crossentropy", "softmax_cross_entropy"},
    {"crossentropyloss", "softmax_cross_entropy"},
    {"nllloss", "softmax_cross_entropy"},
    {"logloss", "sigmoid_cross_entropy"},
    {"binarycrossentropy", "sigmoid_cross_entropy"},
    {"bce", "sigmoid_cross_entropy"},
    {"bcewithlogitsloss", "sigmoid_cross_entropy"},
    {"mse", "mean_squared_error"},
    {"mseloss", "mean_squared_error"},
    {"mae", "mean_absolute_error"},
    {"l1loss", "mean_absolute_error"},
    {"smoothl1loss", "huber"},
    {"huberloss", "huber"},
    {"kld", "kl_divergence"},
    {"kldivloss", "kl_divergence"},
    {"cosinesimilarity", "cosine"},
    {"ctcloss", "ctc"},
    {"connectionisttemporalclassification", "ctc"},
    {"focalloss", "focal"},
    {"f1score", "f1"},
    {"rocauc", "auc"},
    {"rocaucscore", "auc"},
    {"r2score", "r2"},
    {"wer", "symbol_error_rate"},
    {"cer", "symbol_error_rate"},
    {"worderrorrate", "symbol_error_rate"},
    {"charactererrorrate", "symbol_error_rate"},
    {"editdistance", "symbol_error_rate"},
    {"editerrorrate", "symbol_error_rate"},
    {"topkcategoricalaccuracy", "top_k"},
    {"acc", "accuracy"},
    {"categoricalaccuracy", "accuracy"},
    {"binaryaccuracy", "accuracy"},
    {"table", "csv"},
    {"tsv", "csv"},
    {"svmlight", "libsvm"},
    {"npz", "numpy"},
    {"npy", "numpy"},
    {"mnist", "idx"},
    {"cosineannealing", "cosine"},
    {"cosineannealinglr", "cosine"},
    {"cosineannealingwarmrestarts", "cosine_restarts"},
    {"onecyclelr", "one_cycle"},
    {"steplr", "step"},
    {"multisteplr", "piecewise"},
    {"reducelronplateau", "plateau"},
    {"modelcheckpoint", "best_checkpoint"},
    {"csvlogger", "csv_log"},
    {"jsonlogger", "json_lines"},
    {"summarywriter", "tensorboard"},
    {"exponentialmovingaverage", "ema"},
    {"stochasticweightaveraging", "swa"},
    {"owlqn", "lbfgs"},
    // Options of these.
    {"mindelta", "least_change"},
    {"restorebestweights", "restore"},
    {"mode", "goal"},
    {"minlr", "least"},
    {"gradientaccumulationsteps", "accumulate"},
    {"accumulationsteps", "accumulate"},
    {"gamma", "factor"}};

std::string plain(std::string_view name) {
  std::string result;
  for (const char c : name)
    if (c != '_' && c != '-') result += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return result;
}

}  // namespace

std::vector<std::string> known_as(std::string_view name, const std::vector<std::string>& known) {
  std::vector<std::string> meant;
  const std::string theirs = plain(name);
  for (const std::string& ours : known) {
    const auto is_ours = [&](const Foreign& foreign) {
      return foreign.theirs == theirs && foreign.ours == ours;
    };
    if (plain(ours) == theirs || std::any_of(std::begin(names), std::end(names), is_ours))
      meant.push_back(ours);
  }
  return meant;
}

std::string what_was_meant(std::string_view name, const std::vector<std::string>& known) {
  const std::vector<std::string> meant = known_as(name, known);
  return meant.empty() ? did_you_mean(name, known)
                       : fmt::format(" It is called '{}' here.", fmt::join(meant, "' or '"));
}

}  // namespace lariat::data
