#include "frontends/data/dataset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "frontends/data/numbers.hpp"
#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

std::string_view name_of(Split split) {
  return split == Split::train ? "train" : split == Split::validation ? "validation" : "test";
}

void check_size(const Example& example, const Dataset& dataset) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(fmt::format("{}: {}", example.source.empty() ? "an example" : example.source, what));
  };
  const int64_t dimensions = dataset.examples.front().dimensions;
  if (example.dimensions != dimensions)
    refuse(fmt::format("is of {} dimensions, the first example of {}; all must have as many",
                       example.dimensions, dimensions));
  if (example.frames < 0 || example.dimensions < 0 || (!dataset.sequences && example.frames != 1))
    refuse(fmt::format(
        "is of {} frames of {} dimensions; {}", example.frames, example.dimensions,
        dataset.sequences ? "neither can be negative" : "data without a time axis have one frame"));
  int64_t size = 0;
  if (__builtin_mul_overflow(example.frames, example.dimensions, &size) ||
      (!example.stored && static_cast<uint64_t>(size) != example.values.size()))
    refuse(fmt::format("holds {} values, but is of {} frames of {} dimensions; it must hold {}",
                       example.values.size(), example.frames, example.dimensions, size));
  const Targets& targets = dataset.targets;
  int64_t count = targets.width;
  if (!targets.symbols && (__builtin_mul_overflow(count, targets.by_frame ? example.frames : 1, &count) ||
                           static_cast<uint64_t>(count) != example.targets.size()))
    refuse(fmt::format("has {} targets, but the data have {} for each {}; it must have {}",
                       example.targets.size(), targets.width, targets.by_frame ? "frame" : "example", count));
  if (!(example.weight >= 0 && std::isfinite(example.weight)))
    refuse(fmt::format("has the weight {}; weights are finite numbers from 0", example.weight));
}

void fail_without_examples(const Dataset& dataset) {
  throw UserError(dataset.skipped.empty()
                      ? "the dataset has no examples; give it one at least"
                      : fmt::format("the dataset has no examples; the first that was skipped: {}",
                                    dataset.skipped.front()));
}

int keep_one_class(std::vector<std::string>& classes, const std::string& name) {
  const auto found = std::find(classes.begin(), classes.end(), name);
  if (found == classes.end())
    throw UserError(fmt::format("positive = {}: must be one of {}.{}", shortened(name),
                                fmt::join(classes, ", "), did_you_mean(name, classes)));
  const auto place = static_cast<int>(found - classes.begin());
  classes = {"not " + name, name};
  return place;
}

namespace {

void check_values(const std::string& source, std::span<const float> values) {
  bool finite = true;
  for (const float value : values) finite &= std::isfinite(value);
  if (!finite)
    throw UserError(fmt::format("{}: holds NaN or infinity; leave it out, or compute it again", source));
}

}  // namespace

void read_stored(const Example& example, std::span<float> values) {
  example.stored->read(example.number, values);
  check_values(example.source, values);
}

Example loaded(const Example& example) {
  Example result = example;
  if (!example.stored) return result;
  result.values.resize(static_cast<size_t>(example.frames * example.dimensions));
  read_stored(example, result.values);
  result.stored = nullptr;
  return result;
}

void check_finite(const Example& example) { check_values(example.source, example.values); }

bool is_streamed(const Dataset& dataset) {
  return std::any_of(dataset.examples.begin(), dataset.examples.end(),
                     [](const Example& example) { return example.stored != nullptr; });
}

bool is_weighted(const Dataset& dataset) {
  return std::any_of(dataset.examples.begin(), dataset.examples.end(),
                     [](const Example& example) { return example.weight != 1; });
}

namespace {

// Of one column of targets.
TargetScale scale_of(const Dataset& dataset, size_t column) {
  const auto width = static_cast<size_t>(dataset.targets.width);
  RunningMoments moments;
  for (const Example& example : dataset.examples) {
    const auto weight = static_cast<double>(example.weight);
    for (size_t i = column; i < example.targets.size() && weight > 0; i += width)
      moments.add(static_cast<double>(example.targets[i]), weight);
  }
  const double mean = moments.mean(), deviation = moments.deviation();
  const bool varies = deviation > 1e-12 * std::abs(mean) &&
                      deviation >= static_cast<double>(std::numeric_limits<float>::min());
  return {static_cast<float>(mean), varies ? static_cast<float>(deviation) : 1.0F};
}

}  // namespace

std::vector<TargetScale> target_scales_of(const Dataset& dataset) {
  const Targets& targets = dataset.targets;
  std::vector<TargetScale> scales;
  bool numbers = false;
  for (size_t column = 0; column < static_cast<size_t>(targets.width) && !targets.symbols; ++column) {
    const bool is_class = column < targets.classes.size() && !targets.classes[column].empty();
    scales.push_back(is_class ? TargetScale{} : scale_of(dataset, column));
    numbers = numbers || !is_class;
  }
  return numbers ? scales : std::vector<TargetScale>();
}

void standardize_targets(Dataset& dataset) {
  dataset.target_scales = target_scales_of(dataset);
  if (dataset.target_scales.empty())
    throw UserError(
        "the dataset has no targets that are numbers, to standardise them; leave standardize_targets out");
}

CmvnStatistics compute_cmvn(const Dataset& dataset, bool means, bool variances) {
  if (dataset.examples.empty())
    throw UserError("cmvn = global: there is no training example to take statistics from");
  const auto dimensions = static_cast<size_t>(dataset.examples.front().dimensions);
  std::vector<double> sum(dimensions), squares(dimensions);
  double frames = 0;
  const auto for_each_value = [&](auto&& function) {
    for (const Example& example : dataset.examples) {
      check_size(example, dataset);
      const std::vector<float> read = example.stored ? loaded(example).values : std::vector<float>();
      const std::vector<float>& values = example.stored ? read : example.values;
      for (size_t i = 0; i < values.size(); ++i) function(i % dimensions, values[i]);
    }
  };
  // Two passes, since Σx² - (Σx)²/n cancels where the mean is large.
  for (const Example& example : dataset.examples) frames += static_cast<double>(example.frames);
  for_each_value([&](size_t d, double value) { sum[d] += value; });
  for_each_value([&](size_t d, double value) {
    const double deviation = value - sum[d] / frames;
    squares[d] += deviation * deviation;
  });
  CmvnStatistics statistics;
  for (size_t d = 0; d < dimensions; ++d) {
    const double deviation = std::sqrt(squares[d] / frames);
    statistics.mean.push_back(means ? static_cast<float>(sum[d] / frames) : 0.0f);
    statistics.inverse_std.push_back(variances && deviation > 1e-10 ? static_cast<float>(1 / deviation)
                                                                    : 1.0f);
  }
  return statistics;
}

void apply_cmvn(const CmvnStatistics& statistics, std::span<float> values) {
  const size_t dimensions = statistics.mean.size();
  if (dimensions == 0 || values.size() % dimensions != 0) {
    throw UserError(
        fmt::format("the statistics are of {} dimensions, which do not fit {} values; compute them from "
                    "features with the same options",
                    dimensions, values.size()));
  }
  for (size_t row = 0; row < values.size(); row += dimensions) {
    for (size_t d = 0; d < dimensions; ++d) {
      values[row + d] = (values[row + d] - statistics.mean[d]) * statistics.inverse_std[d];
    }
  }
}

namespace {

// What another source gives, with statistics applied.
class NormalisedValues : public Source {
 public:
  NormalisedValues(std::shared_ptr<const Source> source, const CmvnStatistics& statistics)
      : source_(std::move(source)), statistics_(statistics) {}
  void read(int64_t number, std::span<float> values) const override {
    source_->read(number, values);
    apply_cmvn(statistics_, values);
  }

 private:
  std::shared_ptr<const Source> source_;
  CmvnStatistics statistics_;
};

}  // namespace

void apply_cmvn(const CmvnStatistics& statistics, Dataset& dataset) {
  std::map<const Source*, std::shared_ptr<const Source>> normalised;
  for (Example& example : dataset.examples) {
    apply_cmvn(statistics, example.values);
    if (!example.stored) continue;
    std::shared_ptr<const Source>& source = normalised[example.stored.get()];
    if (!source) source = std::make_shared<NormalisedValues>(example.stored, statistics);
    example.stored = source;
  }
}

std::vector<std::string> summarised(const std::vector<std::string>& messages) {
  struct Group {
    std::string_view text, first;
    size_t count;
  };
  std::vector<Group> groups;
  for (const std::string_view message : messages) {
    const size_t colon = message.rfind(": ");
    const std::string_view text = colon == message.npos ? message : message.substr(colon + 2);
    const auto known =
        std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.text == text; });
    if (known != groups.end()) {
      ++known->count;
    } else {
      groups.push_back({text, message, 1});
    }
  }
  std::vector<std::string> lines;
  for (const Group& group : groups) {
    const std::string_view file =
        group.first.substr(0, group.first.size() - std::min(group.first.size(), group.text.size() + 2));
    lines.push_back(group.count == 1
                        ? std::string(group.first)
                        : fmt::format("{} files: {} (the first is {})", group.count, group.text, file));
  }
  return lines;
}

}  // namespace lariat::data
