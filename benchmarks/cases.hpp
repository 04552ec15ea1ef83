#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lariat::benchmarks {

enum class Model {
  mlp,
  lstm,
  lstm_cells,
  bidirectional_lstm,
  keyword_cnn,
  logistic,
  adam_update,
  features,
  lstm_sequence,
  // What is measured outside of workers: see programs.hpp.
  program_start,
  program_memory,
  header_compile
};
enum class Update { sgd, adam };

/// Whom lariat is compared with, and the settings of which that side takes its best.
struct Peer {
  std::string name;
  std::vector<std::string> settings = {"default"};
};

/// A model at a size, as both sides of a comparison build it.
struct Case {
  std::string name;
  Model model = Model::mlp;
  /// A training step; else the forward pass with fixed parameters.
  bool training = true;
  int64_t batch = 1, time = 1, inputs = 1, units = 1, layers = 1;
  Update update = Update::adam;
  /// The factor of Σ|w| over all kernels in the loss.
  double l1 = 0;
  /// Of those that are there, the best one counts.
  std::vector<Peer> peers = {};
  /// The amount in which the cases of one series differ, and how much of it this one has; see fit.hpp.
  std::string amount = {};
  double how_much = 0;
};

/// All cases, in the order in which they are reported.
const std::vector<Case>& cases();
/// Whether a setting lets idle threads of OpenMP sleep at once (OMP_WAIT_POLICY) rather than spin for a
/// while, in which they keep the threads of another library, such as OpenBLAS, from the cores.
bool waits_passively(const std::string& setting);
/// The numbers of a case as JSON, for workers that are not in C++.
std::string json_of(const Case& c);
/// Whether a case is about the least program rather than about a workload.
bool is_program(const Case& c);
/// Throws UserError with the nearest name.
const Case& find_case(const std::string& name);

/// Floating-point operations of the matrix products in one run.
double product_flops(const Case& c);
/// Bytes that one run must move to and from memory; 0 where the products or the caches decide.
double update_bytes(const Case& c);

constexpr int64_t mlp_inputs = 784, mlp_hidden = 512, digit_classes = 10, keyword_classes = 12;
constexpr double learning_rate = 1e-3;
/// Of the adjoint of an LSTM layer's output, where it is given.
constexpr double adjoint_scale = 0.1;

int64_t classes_of(const Case& c);

struct Plane {
  int64_t height, width;
  int64_t size() const { return height * width; }
};

/// The net for keywords: log-mel energies as one image [mel bins, frames], a convolution, pooling 2 x 2, a
/// second convolution and a dense layer; in the manner of Sainath and Parada (2015). No padding.
constexpr Plane keyword_kernels[] = {{8, 20}, {4, 10}};
/// What the two convolutions give, for a case's `inputs` mel bins and `time` frames.
struct KeywordPlanes {
  Plane first, second;
};
KeywordPlanes keyword_planes(const Case& c);

}  // namespace lariat::benchmarks
