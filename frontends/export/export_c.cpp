#include "frontends/export/export_c.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "frontends/data/random.hpp"
#include "frontends/export/c_model.hpp"
#include "frontends/export/c_text.hpp"
#include "frontends/export/concrete.hpp"
#include "graph/base/error.hpp"
#include "graph/program/program.hpp"

namespace lariat::to_c {

struct HostModel::Parts {
  SavedModel& model;
  Graph graph;
  Quantisation quantisation;
  std::unique_ptr<Program> program;
  std::unique_ptr<Executor> executor = make_serial_executor();
  Store none;
};

namespace {

// Of each node of the network's graph the layer that it was built for, or "".
std::vector<std::string> layers_of_nodes(const Sequential& model) {
  const Network& network = model.network();
  std::vector<std::string> names = names_of(model.layers()),
                           result(static_cast<size_t>(network.graph->size()));
  std::map<int32_t, std::string> by_end;  // the last node of each; they are built one after the other
  for (size_t i = 0; i < names.size(); ++i) {
    const Signal& signal = network.layers[i];
    int32_t end = std::max(signal.value.node(), signal.lengths ? signal.lengths.node() : -1);
    for (const Value& state : signal.states) end = std::max(end, state.node());
    by_end.emplace(end, names[i]);
  }
  int32_t begin = 0;
  for (const auto& [end, name] : by_end)
    for (; begin <= end; ++begin) result[static_cast<size_t>(begin)] = name;
  return result;
}

}  // namespace

HostModel::HostModel(SavedModel& model, const ExportOptions& options)
    : self_(new Parts{.model = model, .graph = {}, .quantisation = {}, .program = {}, .none = {}}) {
  const Network& network = model.model().network();
  if (!network.carried.empty())
    throw UserError(
        fmt::format("layer {} is stateful, but a program in C takes each example by itself; train the model "
                    "without stateful",
                    network.carried[0].substr(0, network.carried[0].find('/'))));
  const Store store = model.model().store();
  Graph plain;
  inference_graph(*network.graph, options.predictions ? network.predictions : network.outputs, store, plain,
                  layers_of_nodes(model.model()));
  check_ops(plain);
  if (options.int8) {
    self_->quantisation = quantise(plain, self_->graph);
  } else {
    copy_graph(plain, self_->graph);
  }
  self_->program = std::make_unique<Program>(self_->graph);
}

HostModel::~HostModel() = default;

std::vector<float> HostModel::run(const std::vector<float>& features, int64_t frames) {
  const DataShape& shape = self_->model.model().shape();
  Feeds feeds;
  if (shape.sequences) {
    feeds.emplace("features",
                  Tensor::of<float>({1, frames, shape.dimensions}, std::span<const float>(features)));
    feeds.emplace("lengths", Tensor::of<int32_t>({1}, {static_cast<int32_t>(frames)}));
  } else {
    feeds.emplace("features", Tensor::of<float>({1, shape.dimensions}, std::span<const float>(features)));
  }
  for (auto feed = feeds.begin(); feed != feeds.end();)
    feed = self_->graph.source_id(feed->first) < 0 ? feeds.erase(feed) : std::next(feed);
  const Tensor result = self_->program->run(feeds, self_->none, *self_->executor)[0];
  const auto values = result.values<float>();
  return {values.begin(), values.end()};
}

std::vector<float> HostModel::run(const speech::Audio& audio) {
  const FrontEnd& front_end = self_->model.front_end();
  speech::FeatureMatrix features = front_end.extractor.extract(audio);
  if (front_end.statistics) data::apply_cmvn(*front_end.statistics, features.values);
  return run(features.values, features.frames);
}

namespace {

// Tones that come and go in noise: something for every filter to do.
std::vector<int16_t> drawn_recording(int rate, int64_t samples, data::RandomStream& random) {
  std::vector<int16_t> result;
  double phase = 0, hertz = random.uniform(200, 1000), loudness = 3000;
  for (int64_t t = 0; t < samples; ++t) {
    if (t % (rate / 20 + 1) == 0) {
      hertz = random.uniform(150, rate * 0.4);
      loudness = random.uniform(300, 8000);
    }
    phase += 2 * std::numbers::pi * hertz / rate;
    const double value = loudness * std::sin(phase) + 100 * random.normal();
    result.push_back(static_cast<int16_t>(std::clamp(std::round(value), -32768.0, 32767.0)));
  }
  return result;
}

// How many rows the smallest table has that the graph looks what it is fed up in; 0: none.
int64_t symbols_of(const Graph& graph) {
  int64_t symbols = 0;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->name != "gather_rows" ||
        graph.node(node.inputs[1].node).op->traits.source == SourceKind::constant)
      continue;
    const int64_t rows = graph.type(node.inputs[0]).shape[0].size();
    symbols = symbols == 0 ? rows : std::min(symbols, rows);
  }
  return symbols;
}

std::vector<TestInput> drawn_inputs(SavedModel& model, const Graph& graph, const CSetting& setting,
                                    const ExportOptions& options) {
  std::vector<TestInput> inputs;
  const int64_t symbols = symbols_of(graph);
  for (int i = 0; i < options.vectors; ++i) {
    data::RandomStream random(options.seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    TestInput input;
    // Of different lengths, the shortest among them.
    const int64_t most = setting.frames > 0 ? setting.frames : setting.fewest + 40;
    if (setting.sequence)
      input.frames = i == 0 ? setting.fewest
                            : setting.fewest + (most - setting.fewest) * i / std::max(1, options.vectors - 1);
    if (setting.front_end) {
      const speech::FeatureOptions& features = model.features();
      const int64_t samples =
          speech::frame_samples(features) + (input.frames - 1) * speech::shift_samples(features);
      input.samples = drawn_recording(features.sample_frequency, samples, random);
    } else {
      for (int64_t j = 0; j < input.frames * setting.width; ++j)
        input.features.push_back(symbols > 0
                                     ? static_cast<float>(random.below(static_cast<uint32_t>(symbols)))
                                     : static_cast<float>(random.uniform()));
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

CSetting setting_of(SavedModel& model, const ExportOptions& options) {
  Sequential& network = model.model();
  const DataShape& shape = network.shape();
  if (const auto& heads = network.network().heads; heads.size() > 1) {
    std::vector<std::string> names;
    for (const Head& head : heads) names.push_back(head.name);
    throw UserError(
        fmt::format("the model has the outputs {}, but a program in C gives one; train a model of one",
                    fmt::join(names, ", ")));
  }
  if (network.network().task->decode != nullptr)
    throw UserError(
        "the model finds sequences of symbols, for which C has no form; export one of classes, for each "
        "frame "
        "say");
  CSetting setting;
  setting.name = options.name;
  setting.width = shape.dimensions;
  setting.results = network.network().task->outputs(shape);
  setting.sequence = shape.sequences;
  setting.streaming = options.streaming;
  setting.by_frame = shape.targets.by_frame;
  setting.fewest = shape.sequences ? frames_needed(network.layers()) : 1;
  if (model.is_audio()) setting.front_end = &model.front_end();
  if (!shape.sequences) {
    if (options.streaming)
      throw UserError(
          "--streaming: the model takes examples without frames, so there is nothing to stream; leave it "
          "out");
    if (options.frames > 0)
      throw UserError(
          fmt::format("--frames {}: the model takes examples without frames; leave it out", options.frames));
    return setting;
  }
  if (options.streaming && options.frames > 0)
    throw UserError("--frames and --streaming: a stream has any number of frames; give one of the two");
  if (!options.streaming && options.frames == 0)
    throw UserError(
        "the model takes sequences of any length, but C has no memory for all of them; give the most with "
        "--frames N, or take --streaming");
  if (!options.streaming && options.frames < setting.fewest)
    throw UserError(
        fmt::format("--frames {}: the model needs {} frames or more", options.frames, setting.fewest));
  setting.frames = options.streaming ? 0 : options.frames;
  if (setting.by_frame && setting.front_end)
    throw UserError(
        "the model gives a result for every frame of a recording, for which C has no form; export a model "
        "that takes features");
  return setting;
}

}  // namespace

CProgram export_c(SavedModel& model, const ExportOptions& options, std::vector<TestInput> inputs) {
  const CSetting setting = setting_of(model, options);
  HostModel host(model, options);
  const Graph& graph = host.self_->graph;
  const Quantisation& quantisation = host.self_->quantisation;
  CUnit unit;
  CMemory memory;
  CModel body = options.streaming ? write_streaming(unit, quantisation, graph, setting, memory)
                                  : write_whole(unit, quantisation, graph, setting, memory);
  if (setting.front_end) {
    const CModel ears = write_front_end(unit, setting, memory);
    body.functions += "\n" + ears.functions;
    body.declarations += ears.declarations;
  }
  unit.leave_out_unread(body.functions);
  if (inputs.empty()) inputs = drawn_inputs(model, graph, setting, options);
  std::vector<std::vector<float>> results;
  for (const TestInput& input : inputs) {
    if (setting.front_end) {
      speech::Audio audio{
          {input.samples.begin(), input.samples.end()}, model.features().sample_frequency, "the self-test"};
      results.push_back(host.run(audio));
    } else {
      results.push_back(host.run(input.features, input.frames));
    }
  }
  CProgram program;
  program.name = options.name;
  program.constant_bytes = unit.constant_bytes();
  program.ram_bytes = memory.bytes();
  program.input_bytes = setting.front_end ? 0 : 4 * setting.width * std::max<int64_t>(1, setting.frames);
  program.result_bytes = 4 * setting.results * (setting.by_frame && !setting.streaming ? setting.frames : 1);
  program.frames = setting.frames;
  program.vectors = static_cast<int>(inputs.size());
  const CText text{setting,
                   memory,
                   body,
                   program,
                   options.int8,
                   options.predictions,
                   setting.by_frame ? std::vector<std::string>()
                                    : model.model().network().task->names(model.model().shape()),
                   model.is_audio() ? model.features().sample_frequency : 0,
                   model.columns() ? &*model.columns() : nullptr,
                   model.columns() ? std::vector<data::Column>() : model.model().shape().columns};
  program.files = {{options.name + ".h", header_text(text)},
                   {options.name + ".c", source_text(text, unit)},
                   {options.name + "_test.c", test_text(text, inputs, results)}};
  return program;
}

}  // namespace lariat::to_c
