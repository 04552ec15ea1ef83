#include "benchmarks/cases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::benchmarks {

namespace {

// How the time of a training step grows, for lariat alone.
std::vector<Case> series() {
  std::vector<Case> all;
  const auto add = [&](Case c, const std::string& kind, const std::string& amount, int64_t how_much) {
    c.name = fmt::format("cost/{}/{}", kind, how_much);
    c.peers = {};
    c.amount = amount;
    c.how_much = static_cast<double>(how_much);
    all.push_back(std::move(c));
  };
  for (int64_t time : {25, 50, 100, 200})
    add({"", Model::lstm, true, 32, time, 128, 256}, "lstm time", "time step", time);
  for (int64_t batch : {8, 16, 32, 64})
    add({"", Model::lstm, true, batch, 50, 128, 256}, "lstm batch", "sequence", batch);
  for (int64_t batch : {32, 64, 128, 256, 512})
    add({"", Model::mlp, true, batch, 1, mlp_inputs, mlp_hidden}, "mlp batch", "example", batch);
  for (int64_t millions : {1, 2, 4, 8, 16})
    add({"", Model::adam_update, true, 1, 1, 1, millions << 20}, "adam update", "parameter", millions << 20);
  return all;
}

// libtorch 1.13 in C++; PyTorch 2.6 in Python, which the time of a step hardly sees; for inference ONNX
// Runtime.
std::vector<Peer> peers_of(const Case& c) {
  std::vector<Peer> peers{
      {"libtorch", {"default", "without oneDNN", "passive waiting", "passive waiting, without oneDNN"}}};
  if (c.model == Model::keyword_cnn) peers[0].settings.push_back("channels last");
  if (c.model == Model::logistic || c.model == Model::adam_update) return peers;
  peers.push_back({"pytorch", {"default", "passive waiting"}});
  if (c.model == Model::mlp || c.model == Model::keyword_cnn)
    for (const char* setting : {"compiled", "passive waiting, compiled"})
      peers.back().settings.push_back(setting);
  if (!c.training) peers.push_back({"onnxruntime"});
  return peers;
}

std::vector<Case> list() {
  std::vector<Case> all;
  const double l1 = 1e-5;
  for (Update update : {Update::sgd, Update::adam})
    for (int64_t batch : {32, 128, 512})
      for (double penalty : {0.0, l1})
        all.push_back({fmt::format("mlp/{}/{}{}", batch, update == Update::sgd ? "sgd" : "adam",
                                   penalty > 0 ? "/l1" : ""),
                       Model::mlp, true, batch, 1, mlp_inputs, mlp_hidden, 1, update, penalty});
  struct Size {
    int64_t time, batch, inputs, units, layers;
  };
  for (Model model : {Model::lstm, Model::lstm_cells})
    for (Size s : {Size{100, 32, 128, 256, 1}, Size{100, 32, 128, 256, 2}, Size{50, 16, 40, 128, 1}})
      all.push_back({fmt::format("{}/{}x{}x{}x{}{}", model == Model::lstm ? "lstm" : "lstm_cells", s.time,
                                 s.batch, s.inputs, s.units, s.layers > 1 ? "/2 layers" : ""),
                     model, true, s.batch, s.time, s.inputs, s.units, s.layers});
  all.push_back({"bidirectional_lstm/100x32x128x256", Model::bidirectional_lstm, true, 32, 100, 128, 256});
  all.push_back({"cnn/32", Model::keyword_cnn, true, 32, 98, 40, 64});
  all.push_back({"logistic/a9a", Model::logistic, true, 32561, 1, 123, 1, 1, Update::sgd});
  all.push_back({"logistic/a9a/l1", Model::logistic, true, 32561, 1, 123, 1, 1, Update::sgd, l1});
  all.push_back({"adam_update/16777216", Model::adam_update, true, 1, 1, 1, 16777216});
  all.push_back({"inference/mlp", Model::mlp, false, 1, 1, mlp_inputs, mlp_hidden});
  all.push_back({"inference/mlp/64", Model::mlp, false, 64, 1, mlp_inputs, mlp_hidden});
  all.push_back({"inference/mlp/512", Model::mlp, false, 512, 1, mlp_inputs, mlp_hidden});
  all.push_back({"inference/lstm/100x32x128x256", Model::lstm, false, 32, 100, 128, 256});
  all.push_back({"inference/lstm/100x1x128x256", Model::lstm, false, 1, 100, 128, 256});
  all.push_back({"inference/lstm/50x1x40x128", Model::lstm, false, 1, 50, 40, 128});
  all.push_back({"inference/lstm_cells/50x1x40x128", Model::lstm_cells, false, 1, 50, 40, 128});
  all.push_back(
      {"inference/bidirectional_lstm/100x1x128x256", Model::bidirectional_lstm, false, 1, 100, 128, 256});
  all.push_back({"inference/cnn", Model::keyword_cnn, false, 1, 98, 40, 64});
  all.push_back({"inference/logistic/a9a", Model::logistic, false, 1, 1, 123, 1});
  all.push_back({"lstm_sequence/100x32x128x256", Model::lstm_sequence, true, 32, 100, 128, 256});
  all.back().peers = {{"onednn"}};
  const auto features = [&](const std::string& kind, const std::vector<std::string>& settings) {
    all.push_back({"features/fsdd/" + kind, Model::features, false, 300});
    all.back().peers = {{"torchaudio", settings}};
  };
  features("fbank", {"one by one", "filters kept", "joined"});
  features("melspectrogram", {"one by one", "joined"});
  for (Case& c : all)
    if (c.peers.empty()) c.peers = peers_of(c);
  for (Case& c : series()) all.push_back(std::move(c));
  for (const auto& [name, model] : {std::pair{"program/start", Model::program_start},
                                    {"program/memory", Model::program_memory},
                                    {"header/compile", Model::header_compile}}) {
    all.push_back({name, model});
    all.back().peers = {{"libtorch"}};
  }
  return all;
}

// Multiply-adds of one layer's products for one row, forward; and how often training does them: the gradient
// of the input is not taken for the first layer.
double trained(double products, bool first) { return products * (first ? 2 : 3); }

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = list();
  return all;
}

std::string json_of(const Case& c) {
  static constexpr const char* names[] = {"mlp", "lstm", "lstm_cells", "bidirectional_lstm", "keyword_cnn"};
  const auto model = static_cast<size_t>(c.model);
  return Json{{"model", model < std::size(names) ? names[model] : ""},
              {"training", c.training},
              {"batch", c.batch},
              {"time", c.time},
              {"inputs", c.inputs},
              {"units", c.units},
              {"layers", c.layers},
              {"classes", classes_of(c)},
              {"adam", c.update == Update::adam},
              {"learning_rate", learning_rate},
              {"l1", c.l1}}
      .dump();
}

bool waits_passively(const std::string& setting) { return setting.starts_with("passive waiting"); }

bool is_program(const Case& c) {
  return c.model == Model::program_start || c.model == Model::program_memory ||
         c.model == Model::header_compile;
}

const Case& find_case(const std::string& name) {
  std::vector<std::string> names;
  for (const Case& c : cases()) {
    if (c.name == name) return c;
    names.push_back(c.name);
  }
  throw UserError(fmt::format("there is no benchmark '{}'.{}", name, did_you_mean(name, names)));
}

int64_t classes_of(const Case& c) { return c.model == Model::keyword_cnn ? keyword_classes : digit_classes; }

KeywordPlanes keyword_planes(const Case& c) {
  const auto after = [](Plane plane, Plane kernel) {
    return Plane{plane.height - kernel.height + 1, plane.width - kernel.width + 1};
  };
  const Plane first = after({c.inputs, c.time}, keyword_kernels[0]);
  return {first, after({first.height / 2, first.width / 2}, keyword_kernels[1])};
}

double product_flops(const Case& c) {
  const auto inputs = static_cast<double>(c.inputs), units = static_cast<double>(c.units);
  const auto count = [&](double products, bool first) {
    return c.training ? trained(products, first) : products;
  };
  double one_row = 0;
  switch (c.model) {
    case Model::mlp:
      one_row =
          count(inputs * units, true) + count(units * units, false) + count(units * digit_classes, false);
      break;
    case Model::lstm:
    case Model::lstm_cells:
    case Model::bidirectional_lstm: {
      const double directions = c.model == Model::bidirectional_lstm ? 2 : 1;
      for (int64_t layer = 0; layer < c.layers; ++layer)
        one_row +=
            count((layer == 0 ? inputs : units) * 4 * units, layer == 0) + count(units * 4 * units, false);
      one_row = directions * (one_row * static_cast<double>(c.time) + count(units * digit_classes, false));
      break;
    }
    case Model::lstm_sequence:  // with the gradient of the input
      one_row = 3 * (inputs + units) * 4 * units * static_cast<double>(c.time);
      break;
    case Model::logistic:
      one_row = count(inputs, true);
      break;
    case Model::keyword_cnn: {
      const KeywordPlanes planes = keyword_planes(c);
      const auto products = [&](Plane out, Plane kernel, double channels) {
        return static_cast<double>(out.size() * kernel.size()) * channels * units;
      };
      one_row = count(products(planes.first, keyword_kernels[0], 1), true) +
                count(products(planes.second, keyword_kernels[1], units), false) +
                count(static_cast<double>(planes.second.size()) * units * keyword_classes, false);
      break;
    }
    default:
      break;
  }
  return 2 * one_row * static_cast<double>(c.batch);
}

// Adam reads and writes the parameter and two averages and reads the gradient. Four arrays of fewer elements
// stay in a cache, if only in part.
double update_bytes(const Case& c) {
  constexpr int64_t in_memory = 16 << 20;
  return c.model == Model::adam_update && c.units >= in_memory ? 7.0 * 4 * static_cast<double>(c.units) : 0;
}

}  // namespace lariat::benchmarks
