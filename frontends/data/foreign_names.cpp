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
    {"betas", "beta1"},
    {"betas", "beta2"},
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
    {"gradientclipval", "clip_norm"},
    {"validationsplit", "validation"},
    {"testsize", "testing"},
    {"normalizey", "standardize_targets"},
    {"normalizetargets", "standardize_targets"},
    {"scaletargets", "standardize_targets"},
    {"targetscaling", "standardize_targets"},
    {"targettransform", "standardize_targets"},
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
    {"fc", "dense"},
    {"relu", "activation"},
    {"leakyrelu", "activation"},
    {"elu", "activation"},
    {"gelu", "activation"},
    {"silu", "activation"},
    {"sigmoid", "activation"},
    {"tanh", "activation"},
    {"softplus", "activation"},
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
    {"avgpool1d", "average_pool1d"},
    {"avgpool2d", "average_pool2d"},
    {"adaptiveavgpool1d", "global_average_pool"},
    {"adaptiveavgpool2d", "global_average_pool"},
    {"adaptivemaxpool1d", "global_max_pool"},
    {"adaptivemaxpool2d", "global_max_pool"},
    {"globalaveragepooling1d", "global_average_pool"},
    {"globalmaxpooling1d", "global_max_pool"},
    {"globalaveragepooling2d", "global_average_pool"},
    {"globalmaxpooling2d", "global_max_pool"},
    {"categoricalcrossentropy", "softmax_cross_entropy"},
    {"sparsecategoricalcrossentropy", "softmax_cross_entropy"},
    {"crossentropy", "softmax_cross_entropy"},
    {"softmax", "softmax_cross_entropy"},
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
    {"swish", "silu"},
    {"none", "constant"},
    {"identity", "linear"},
    {"lasso", "l1"},
    {"ridge", "l2"},
    {"elasticnet", "l1"},
    {"elasticnet", "l2"},
    {"l1l2", "l1"},
    {"l1l2", "l2"},
    {"grouplasso", "group_rows"},
    {"grouplasso", "group_columns"},
    {"grouplasso", "group_inputs"},
    // Tables of a recipe.
    {"model", "layers"},
    {"network", "layers"},
    {"train", "training"},
    {"dataset", "data"},
    {"optim", "optimizer"},
    {"scheduler", "schedule"},
    {"lrscheduler", "schedule"},
    {"regularization", "penalty"},
    {"regularizer", "penalty"},
    {"earlystopping", "callbacks"},
    {"augmentation", "augment"},
    {"preprocessing", "features"},
    // Commands.
    {"fit", "train"},
    {"test", "evaluate"},
    {"eval", "evaluate"},
    {"validate", "evaluate"},
    {"infer", "predict"},
    {"classify", "predict"},
    {"transcribe", "recognize"},
    {"tune", "search"},
    {"prune", "compact"},
    {"quantize", "convert"},
    {"info", "inspect"},
    {"new", "recipe"},
    {"check", "recipe"},
    {"list", "recipe"},
    {"show", "recipe"},
    // Options of these.
    {"mindelta", "least_change"},
    {"restorebestweights", "restore"},
    {"mode", "goal"},
    {"minlr", "least"},
    {"gradientaccumulationsteps", "accumulate"},
    {"accumulationsteps", "accumulate"},
    {"gamma", "factor"}};

// Keys that others have in one place and a recipe has in another, or does not need.
constexpr Foreign keys_elsewhere[] = {
    {"weightdecay", "the optimizers adamw, lamb and lion have it, as layers and [[groups]] do"},
    {"momentum", "write [optimizer] kind = \"momentum\", which has it"},
    {"nesterov", "write [optimizer] kind = \"nesterov\""},
    {"amsgrad", "write [optimizer] kind = \"amsgrad\""},
    {"decay", "write [schedule] kind = \"exponential\" or another"},
    {"clipnorm", "write [training] clip_norm"},
    {"gradientclipval", "write [training] clip_norm"},
    {"maxgradnorm", "write [training] clip_norm"},
    {"clipvalue", "write [training] clip_value"},
    {"lr", "write [optimizer] learning_rate"},
    {"learningrate", "write [optimizer] learning_rate"},
    {"epochs", "write [training] epochs"},
    {"batchsize", "write [training] batch_size"},
    {"validationsplit", "write [data] validation"},
    {"testsize", "write [data] testing"},
    {"shuffle", "training examples are shuffled; leave it out"},
    {"earlystopping", "write [[callbacks]] kind = \"early_stopping\""},
    {"patience", "write [[callbacks]] kind = \"early_stopping\", which has it"},
    {"callbacks", "write [[callbacks]] with a kind"},
    {"metrics", "write [metrics] kinds"},
    {"loss", "write [loss] kind"},
    {"optimizer", "write [optimizer] kind"},
    {"classweight", "write [loss] class_weights"},
    {"dropout", "write [[layers]] kind = \"dropout\" behind it"},
    {"inputshape", "it follows from what comes in; leave it out"},
    {"inputdim", "it follows from what comes in; leave it out"},
    {"inputsize", "it follows from what comes in; leave it out"},
    {"infeatures", "it follows from what comes in; leave it out"},
    {"inchannels", "it follows from what comes in; leave it out"},
    {"batchfirst", "the batch is always first; leave it out"},
    {"workers", "lariat train --threads says so"},
    {"numworkers", "lariat train --threads says so"},
    {"njobs", "lariat train --threads says so"},
    {"device", "everything runs on processors; leave it out"}};

std::string plain(std::string_view name) {
  std::string result;
  for (const char c : name)
    if (c != '_' && c != '-') result += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return result;
}

}  // namespace

std::vector<std::string> known_as(std::string_view name, const std::vector<std::string>& known) {
  std::vector<std::string> meant;
  // Without the module, as in torch.nn.Linear; keys of a whole recipe have dots of their own.
  const bool dotted = std::any_of(known.begin(), known.end(),
                                  [](const std::string& ours) { return ours.find('.') != ours.npos; });
  const std::string theirs = plain(dotted ? name : name.substr(name.rfind('.') + 1));
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

std::string which_key_was_meant(std::string_view name, const std::vector<std::string>& known) {
  if (known_as(name, known).empty())
    for (const Foreign& elsewhere : keys_elsewhere)
      if (elsewhere.theirs == plain(name)) return fmt::format(" Elsewhere: {}.", elsewhere.ours);
  return what_was_meant(name, known);
}

}  // namespace lariat::data
