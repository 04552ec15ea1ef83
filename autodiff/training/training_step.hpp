#pragma once

#include "autodiff/training/collapse.hpp"
#include "autodiff/training/divergence.hpp"
#include "autodiff/training/trainer.hpp"

namespace lariat {

class TreeSum;

/// What is known of a loss once it is split.
struct LossAnalysis {
  RewriteReport report;
  std::vector<PenalisedParameter> made_zero;
  StepParts parts;
};

/// Inputs of a training step.
inline constexpr const char* learning_rate_input = "trainer/learning_rate";
inline constexpr const char* settle_input = "trainer/settle";
/// Of a step in parts: the present part's share, and what a parameter's gradient has come to in earlier ones.
inline constexpr const char* share_input = "trainer/share";
/// Where a part's result that nobody reads is.
inline constexpr const char* given_output = "trainer/given";
std::string earlier_input(const std::string& parameter);

/// The trainer's own inputs and states stand beside those of the loss: throws UserError for names like
/// theirs.
void refuse_reserved_names(const Graph& graph);

/// Throws UserError where the options name what is not the loss's, an input twice, or no function.
void check_given(Value loss, const Optimizer& optimizer, const TrainerOptions& options);

/// Throws UserError where the input is fed already.
void feed_once(Feeds& feeds, const std::string& input, const Tensor& tensor);

/// Throws UserError where a step is fed what the trainer feeds: its own inputs, and those that are scheduled.
void refuse_own_feeds(const Feeds& feeds, const TrainerOptions& options);

/// Throws UserError where the shares of a step's parts are not one for each, from 0 on, that add up to 1.
void check_shares(size_t parts, std::span<const double> shares);

/// The graph of loss, metrics and updates with its recurrences joined: the backward pass follows the form of
/// the forward one.
std::unique_ptr<Graph> joined_recurrences(Value loss, const TrainerOptions& options);

/// Loss and metrics as they are written, then everything that moves the state. For a rehearsal, penalties
/// that make zeros are times a factor, and the sizes of gradients are put out. In micro-shards, gradients go
/// through `sum`, whose buckets this makes.
std::unique_ptr<Graph> training_step(Value written, const Optimizer& optimizer, const TrainerOptions& options,
                                     LossAnalysis& analysis, bool rehearsal = false, TreeSum* sum = nullptr);

/// A part of a step before its last one: loss and metrics, and the gradients up to here, by their inputs'
/// names, or given to `sum`.
std::unique_ptr<Graph> part_of_step(Value written, const TrainerOptions& options, TreeSum* sum = nullptr);

/// What the options' rewrites make of a step, or of a part of one. Throws UserError naming the rewrite that
/// gives other outputs.
std::unique_ptr<Graph> rewritten_step(std::unique_ptr<Graph> step, const TrainerOptions& options);

}  // namespace lariat
