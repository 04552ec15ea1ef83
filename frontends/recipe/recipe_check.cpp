#include "frontends/recipe/recipe_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "frontends/sequential/network.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

// Of what is not known: many values, of which one number has many divisors and the others have none.
constexpr int64_t unknown_sizes[] = {1021, 55440, 9973};
constexpr int64_t unknown_counts[] = {2, 7};
constexpr int sample_rates[] = {8000, 16000, 44100};

// What a recipe says of its data, and all that they may be besides.
class AssumedShapes {
 public:
  explicit AssumedShapes(const Recipe& recipe)
      : recipe_(recipe),
        kind_(data_kind_of(recipe.table("data"))),
        layers_(recipe.layers()),
        learned_(recipe.outputs()) {
    std::vector<std::string> names;
    for (const ModelOutput& output : learned_)
      if (!output.layer.empty()) names.push_back(output.layer);
    wiring_ = wiring_of(layers_, names);
    find_widths();
    columns_ = named_columns();
  }

  /// How many values an example may have, as the recipe says it; none: any number.
  std::vector<int64_t> sizes() const {
    std::set<int64_t> found;
    if (kind_.form == DataForm::recordings) {
      for (const DataShape& shape : features_of_recordings()) found.insert(shape.dimensions);
    } else if (columns_.empty()) {
      const std::vector<int64_t> taken = values_taken();
      found.insert(taken.begin(), taken.end());
    }
    return {found.begin(), found.end()};
  }
  /// The fewest that columns with names have; 0: there are none.
  int64_t fewest() const { return std::ssize(columns_); }

  /// All that data may be whose columns have so many values together, or each, where they have names.
  std::vector<DataShape> of(int64_t size, bool each) const {
    std::vector<DataShape> shapes;
    for (const bool sequences : {false, true}) {
      if (sequences ? kind_.form != DataForm::recordings && !kind_.has_symbols
                    : kind_.form == DataForm::recordings)
        continue;
      DataShape features{sequences, each && !columns_.empty() ? size * fewest() : size};
      for (const std::string& name : columns_) features.columns.push_back({name, each ? size : 1});
      // One of them may be categories.
      if (!columns_.empty() && !each) features.columns.front().width = size - fewest() + 1;
      for (const DataShape& shape : with_targets(features)) shapes.push_back(shape);
    }
    return shapes;
  }

 private:
  // Of each layer, how many channels come out; 0 where its data alone say it.
  void find_widths() {
    widths_.resize(layers_.size());
    for (const size_t layer : wiring_.order) {
      const LayerSpec& spec = layers_[wiring_.owners[layer]];
      const Wiring::Source& input = wiring_.inputs[layer].front();
      const int64_t before =
          input.layer < 0 || !input.state.empty() ? 0 : widths_[static_cast<size_t>(input.layer)];
      if (const auto& count = layer_kind_of(spec).units.count) widths_[layer] = count(spec, before);
    }
  }
  // How many numbers an output of the model has; 0 where it has as many as are learned.
  int64_t width_of(size_t output) const {
    return wiring_.outputs[output].state.empty() ? widths_[wiring_.output_layer(output)] : 0;
  }

  // The columns that layers or the recipe name.
  std::vector<std::string> named_columns() const {
    std::vector<std::string> named = recipe_.data().features;
    if (!kind_.names_columns) return {};
    std::set<std::string> known(named.begin(), named.end());
    for (const auto* all : {&wiring_.inputs, &wiring_.initial})
      for (const std::vector<Wiring::Source>& sources : *all)
        for (const Wiring::Source& source : sources)
          if (source.layer < 0 && source.column != all_columns && known.insert(source.column).second)
            named.push_back(source.column);
    return named;
  }

  // The numbers of values that a layer takes of all columns, where it says so.
  std::vector<int64_t> values_taken() const {
    for (size_t layer = 0; layer < layers_.size(); ++layer) {
      const Wiring::Source& input = wiring_.inputs[layer].front();
      const LayerSpec& spec = layers_[wiring_.owners[layer]];
      if (input.layer < 0 && input.column == all_columns)
        if (const auto& taken = layer_kind_of(spec).values_taken) return taken(spec);
    }
    return {};
  }

  std::vector<DataShape> features_of_recordings() const {
    const speech::FeatureOptions features = recipe_.features();
    const auto of_rate = [&](int rate) -> DataShape {
      return {true, speech::FeatureExtractor(features, rate).dimensions()};
    };
    if (features.sample_frequency != 0) return {of_rate(features.sample_frequency)};
    std::vector<DataShape> shapes;
    for (const int rate : sample_rates) {
      try {
        shapes.push_back(of_rate(rate));
      } catch (const UserError&) {  // of recordings at that rate
      }
    }
    return shapes;
  }

  // The numbers that there may be of what an output learns.
  std::vector<int64_t> numbers_of(size_t output, int64_t known) const {
    if (known > 0) return {known};
    if (const int64_t width = width_of(output); width > 0) return {width};
    return {std::begin(unknown_counts), std::end(unknown_counts)};
  }

  static std::vector<std::string> numbered(int64_t count) {
    std::vector<std::string> names;
    for (int64_t i = 0; i < count; ++i) names.push_back(fmt::format("{}", i));
    return names;
  }

  std::vector<DataShape> with_targets(const DataShape& features) const {
    return learned_.size() > 1 ? with_several(features) : with_one(features);
  }

  std::vector<DataShape> with_one(const DataShape& features) const {
    const DataOptions data = recipe_.data();
    std::vector<std::string> targets = recipe_.targets();
    DataShape asked;
    asked.targets.width = static_cast<int64_t>(targets.size());
    const std::string task = learned_.front().loss.task ? learned_.front().loss.task(asked) : "classes";
    std::vector<DataShape> shapes;
    const auto add = [&](auto&& change) {
      DataShape shape = features;
      change(shape);
      shapes.push_back(std::move(shape));
    };
    if (task_named(task).decode != nullptr) {
      if (features.sequences)
        for (const int64_t count : numbers_of(0, 0))
          add([&](DataShape& shape) {
            shape.classes = numbered(count - 1);
            shape.targets = {.width = 1, .symbols = true};
          });
    } else if (task == "classes" || task == "binary") {
      int64_t known = !data.positive.empty() || task == "binary" ? 2 : std::ssize(data.labels);
      for (const int64_t count : numbers_of(0, known)) {
        add([&](DataShape& shape) { shape.classes = numbered(std::max<int64_t>(2, count)); });
        if (features.sequences && kind_.form == DataForm::rows)
          add([&](DataShape& shape) {
            shape.classes = numbered(std::max<int64_t>(2, count));
            shape.targets = {.width = 1, .by_frame = true};
          });
      }
    } else {
      for (const int64_t count : numbers_of(0, std::ssize(targets)))
        for (const bool by_frame : {false, true})
          if (!by_frame || features.sequences)
            add([&](DataShape& shape) {
              shape.targets = {.width = count, .by_frame = by_frame};
              if (std::ssize(targets) == count) shape.targets.names = targets;
            });
    }
    return shapes;
  }

  // Of several outputs each learns columns, of which one may be of classes.
  std::vector<DataShape> with_several(const DataShape& features) const {
    std::vector<DataShape> shapes;
    const std::vector<std::string> targets = recipe_.targets();
    for (const int64_t unknown : unknown_counts)
      for (const bool by_frame : {false, true}) {
        if (by_frame && !features.sequences) continue;
        DataShape shape = features;
        shape.targets = {.width = std::ssize(targets), .by_frame = by_frame, .names = targets};
        shape.targets.classes.resize(targets.size());
        for (size_t i = 0; i < learned_.size(); ++i) {
          std::vector<std::string> own = learned_[i].targets;
          if (own.empty()) own = {learned_[i].layer};
          DataShape asked;
          asked.targets.width = std::ssize(own);
          const std::string task = learned_[i].loss.task ? learned_[i].loss.task(asked) : "classes";
          if (own.size() != 1 || (task != "classes" && task != "binary")) continue;
          const int64_t width = width_of(i), count = task == "binary" ? 2 : width > 1 ? width : unknown;
          const auto place = std::find(targets.begin(), targets.end(), own.front());
          if (place != targets.end())
            shape.targets.classes[static_cast<size_t>(place - targets.begin())] = numbered(count);
        }
        if (std::all_of(shape.targets.classes.begin(), shape.targets.classes.end(),
                        [](const auto& classes) { return classes.empty(); }))
          shape.targets.classes.clear();
        shapes.push_back(std::move(shape));
      }
    return shapes;
  }

  const Recipe& recipe_;
  const DataKind& kind_;
  const std::vector<LayerSpec> layers_;
  const std::vector<ModelOutput> learned_;
  Wiring wiring_;
  std::vector<int64_t> widths_;
  std::vector<std::string> columns_;
};

// What is refused of data of one sort, and how much is built before.
struct Refusal {
  std::string message, pattern;
  size_t built = 0;
};

/// Tries data of one size after the other, until some are taken, which it gives, or a refusal depends on
/// their size.
class Trial {
 public:
  explicit Trial(const Recipe& recipe)
      : layers_(recipe.layers()), learned_(recipe.outputs()), assumed_(recipe) {}

  std::optional<DataShape> run() {
    const std::vector<int64_t> known = assumed_.sizes();
    const auto try_sizes = [&](const auto& sizes, bool alike, bool each = false) {
      for (const int64_t size : sizes)
        if (passes(size, alike, each)) return true;
      return false;
    };
    if (!known.empty()) {
      if (try_sizes(known, true)) return taken_;
    } else {
      if (assumed_.fewest() > 0 && passes(1, false, true)) return taken_;
      std::swap(refusals_, of_fewest_);
      if (try_sizes(unknown_sizes, true, true)) return taken_;
      // A size that a message names may be the one that is wanted.
      for (const bool each : {false, true})
        if (try_sizes(numbers_in_patterns(), false, each)) return taken_;
    }
    // Of several sorts of data that it is refused for, the one that most of it is for.
    const auto most = std::max_element(
        refusals_.begin(), refusals_.end(),
        [](const auto& one, const auto& other) { return one.second.built < other.second.built; });
    if (most == refusals_.end()) return std::nullopt;
    const auto shown = of_fewest_.find(most->first);
    throw UserError(!known.empty()              ? most->second.message
                    : shown != of_fewest_.end() ? shown->second.message
                                                : most->second.pattern);
  }

 private:
  using Sort = std::pair<bool, bool>;  // sequences, and targets by frame

  // Whether data of that size are taken, or nobody can say it. Refusals are to be alike but for the size; one
  // that is not must come no later.
  bool passes(int64_t size, bool alike, bool each) {
    if (size < (each ? 1 : std::max<int64_t>(1, assumed_.fewest()))) return false;
    for (const DataShape& shape : assumed_.of(size, each)) {
      Refusal here;
      try {
        build_network(layers_, shape, learned_, false, &here.built);
        taken_ = shape;
        return true;
      } catch (const UserError& error) {
        here.message = error.what();
      }
      here.pattern = without_size(here.message, shape);
      const auto [found, first] = refusals_.try_emplace({shape.sequences, shape.targets.by_frame}, here);
      if (first) continue;
      if (alike ? found->second.pattern != here.pattern : found->second.built < here.built) return true;
    }
    return false;
  }

  // Calls `take` with each run of digits, and the text before it.
  static void each_number(
      const std::string& text,
      const std::function<void(const std::string& before, const std::string& number)>& take) {
    constexpr const char* digits = "0123456789";
    for (size_t at = 0; at < text.size();) {
      const size_t begin = std::min(text.find_first_of(digits, at), text.size()),
                   end = std::min(text.find_first_not_of(digits, begin), text.size());
      take(text.substr(at, begin - at), text.substr(begin, end - begin));
      at = end;
    }
  }

  static std::string without_size(const std::string& message, const DataShape& shape) {
    std::vector<std::string> sizes{fmt::format("{}", shape.dimensions)};
    if (!shape.columns.empty()) sizes.push_back(fmt::format("{}", shape.columns.front().width));
    std::string result;
    each_number(message, [&](const std::string& before, const std::string& number) {
      const bool is_size = std::find(sizes.begin(), sizes.end(), number) != sizes.end();
      result += before + (is_size ? "?" : number);
    });
    return result;
  }

  // Numbers that the refusals name, and what two of them make.
  std::set<int64_t> numbers_in_patterns() const {
    constexpr size_t longest = 6;
    std::set<int64_t> found;
    for (const auto& [sort, refusal] : refusals_) {
      std::vector<int64_t> numbers;
      each_number(refusal.pattern, [&](const std::string&, const std::string& number) {
        if (!number.empty() && number.size() <= longest) numbers.push_back(std::stoll(number));
      });
      for (const int64_t one : numbers) {
        found.insert(one);
        for (const int64_t other : numbers)
          if (one * other < 1000000) found.insert(one * other);
      }
    }
    return found;
  }

  const std::vector<LayerSpec> layers_;
  const std::vector<ModelOutput> learned_;
  const AssumedShapes assumed_;
  std::map<Sort, Refusal> refusals_, of_fewest_;
  std::optional<DataShape> taken_;
};

// Whether data that nobody knows may have examples to validate on.
bool may_validate(const Spec& data) {
  const DataKind& kind = data_kind_of(data);
  const SpecOption* share = kind.spec.find("validation");
  return kind.has_validation_files || (share != nullptr && data.at("validation") != "0");
}

}  // namespace

void check_without_data(const Recipe& recipe) {
  const std::optional<DataShape> shape = Trial(recipe).run();
  if (!shape) return;
  Sequential model(recipe.layers());
  model.compile(recipe.optimizer(), recipe.outputs());
  FitOptions fit = recipe.fit();
  const data::Dataset held_back;
  if (may_validate(recipe.table("data"))) fit.validation = held_back;
  model.check_fit(*shape, fit);
}

}  // namespace lariat
