// An LSTM layer by oneDNN's primitive: the forward pass for training, and the gradients of input, kernels and
// bias for a given adjoint of the output. Nothing before or behind.

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>

#include "benchmarks/data.hpp"
#include "benchmarks/workers/worker.hpp"

namespace lariat::benchmarks {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc described(memory::dims extents, Tag tag) { return {extents, memory::data_type::f32, tag}; }

class LstmSequence final : public Workload {
 public:
  explicit LstmSequence(const Request& request)
      : case_(request.what), weights_kept_(request.setting == "weights kept") {
    const auto [time, batch, inputs, units] = std::tuple(case_.time, case_.batch, case_.inputs, case_.units);
    x_ = time_first("x", inputs, 1);
    input_kernel_ = filled("input_kernel", described({1, 1, inputs, 4, units}, Tag::ldigo),
                           kernel_scale(inputs, 4 * units));
    recurrent_kernel_ = filled("recurrent_kernel", described({1, 1, units, 4, units}, Tag::ldigo),
                               kernel_scale(units, 4 * units));
    bias_ = filled("bias", described({1, 1, 4, units}, Tag::ldgo), 0);
    adjoint_ = time_first("adjoint", units, adjoint_scale);
    hidden_ = empty(adjoint_.get_desc());
    x_gradient_ = empty(x_.get_desc());
    input_kernel_gradient_ = empty(input_kernel_.get_desc());
    recurrent_kernel_gradient_ = empty(recurrent_kernel_.get_desc());
    bias_gradient_ = empty(bias_.get_desc());
    zeros_ = filled("zeros", described({1, 1, batch, units}, Tag::ldnc), 0);
    hidden_gradient_ = empty(zeros_.get_desc());
    cell_gradient_ = empty(zeros_.get_desc());
    make_primitives();
  }

  double run() override {
    step();
    return *elements(bias_gradient_);
  }

  double check() override {
    step();
    switch (checked_++ % 4) {
      case 0:
        return covering_sum(values(input_kernel_gradient_));
      case 1:
        return covering_sum(values(recurrent_kernel_gradient_));
      case 2:
        return covering_sum(values(bias_gradient_));
      default:
        return covering_sum(swapped(values(x_gradient_), case_.time, case_.batch, case_.inputs));
    }
  }

 private:
  memory empty(const memory::desc& desc) { return memory(desc, engine_); }
  static float* elements(const memory& tensor) { return static_cast<float*>(tensor.get_data_handle()); }
  static std::vector<float> values(const memory& tensor) {
    return {elements(tensor), elements(tensor) + tensor.get_desc().get_size() / sizeof(float)};
  }
  memory filled(const std::string& name, const memory::desc& desc, double scale) {
    memory result = empty(desc);
    std::ranges::copy(numbers(name, static_cast<int64_t>(desc.get_size() / sizeof(float)), scale),
                      elements(result));
    return result;
  }
  // [first, second, inner] -> [second, first, inner].
  static std::vector<float> swapped(const std::vector<float>& from, int64_t first, int64_t second,
                                    int64_t inner) {
    std::vector<float> to(from.size());
    for (int64_t i = 0; i < first; ++i)
      for (int64_t j = 0; j < second; ++j)
        std::copy_n(from.begin() + (i * second + j) * inner, inner, to.begin() + (j * first + i) * inner);
    return to;
  }
  memory time_first(const std::string& name, int64_t channels, double scale) {
    memory result = empty(described({case_.time, case_.batch, channels}, Tag::tnc));
    std::ranges::copy(
        swapped(numbers(name, case_.batch * case_.time * channels, scale), case_.batch, case_.time, channels),
        elements(result));
    return result;
  }

  // The initial states are given though they are zero: without them, 2.6 gets the recurrent kernel's gradient
  // wrong. The weights may have whatever layout the primitive likes best.
  void make_primitives() {
    const memory::desc none, state = zeros_.get_desc(), x = x_.get_desc(), hidden = hidden_.get_desc(),
                             bias = bias_.get_desc();
    const memory::desc any_input = described(input_kernel_.get_desc().dims(), Tag::any),
                       any_recurrent = described(recurrent_kernel_.get_desc().dims(), Tag::any);
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;
    const dnnl::lstm_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, direction, x, state, state, any_input, any_recurrent, bias,
         hidden, none, none},
        engine_);
    const dnnl::lstm_backward::desc backward_desc(dnnl::prop_kind::backward, direction, x, state, state,
                                                  any_input, any_recurrent, bias, hidden, none, none, x,
                                                  state, state, input_kernel_.get_desc(),
                                                  recurrent_kernel_.get_desc(), bias, hidden, none, none);
    const dnnl::lstm_backward::primitive_desc backward(backward_desc, engine_, forward);
    forward_ = dnnl::lstm_forward(forward);
    backward_ = dnnl::lstm_backward(backward);
    workspace_ = empty(forward.workspace_desc());
    forward_input_ = empty(forward.weights_layer_desc());
    forward_recurrent_ = empty(forward.weights_iter_desc());
    backward_input_ = empty(backward.weights_layer_desc());
    backward_recurrent_ = empty(backward.weights_iter_desc());
    bring_weights();
  }

  void bring_weights() {
    for (memory* to : {&forward_input_, &backward_input_})
      dnnl::reorder(input_kernel_, *to).execute(stream_, input_kernel_, *to);
    for (memory* to : {&forward_recurrent_, &backward_recurrent_})
      dnnl::reorder(recurrent_kernel_, *to).execute(stream_, recurrent_kernel_, *to);
    stream_.wait();
  }

  // In training the weights are others at each step, so that laying them out for the primitive is part of it.
  void step() {
    if (!weights_kept_) bring_weights();
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC_LAYER, x_},
                                              {DNNL_ARG_SRC_ITER, zeros_},
                                              {DNNL_ARG_SRC_ITER_C, zeros_},
                                              {DNNL_ARG_WEIGHTS_LAYER, forward_input_},
                                              {DNNL_ARG_WEIGHTS_ITER, forward_recurrent_},
                                              {DNNL_ARG_BIAS, bias_},
                                              {DNNL_ARG_DST_LAYER, hidden_},
                                              {DNNL_ARG_WORKSPACE, workspace_}};
    forward_.execute(stream_, arguments);
    // The primitive adds to what is there.
    for (const memory* gradient : {&input_kernel_gradient_, &recurrent_kernel_gradient_, &bias_gradient_})
      std::fill_n(elements(*gradient), gradient->get_desc().get_size() / sizeof(float), 0.0f);
    arguments[DNNL_ARG_WEIGHTS_LAYER] = backward_input_;
    arguments[DNNL_ARG_WEIGHTS_ITER] = backward_recurrent_;
    arguments.insert({{DNNL_ARG_DIFF_DST_LAYER, adjoint_},
                      {DNNL_ARG_DIFF_SRC_LAYER, x_gradient_},
                      {DNNL_ARG_DIFF_SRC_ITER, hidden_gradient_},
                      {DNNL_ARG_DIFF_SRC_ITER_C, cell_gradient_},
                      {DNNL_ARG_DIFF_WEIGHTS_LAYER, input_kernel_gradient_},
                      {DNNL_ARG_DIFF_WEIGHTS_ITER, recurrent_kernel_gradient_},
                      {DNNL_ARG_DIFF_BIAS, bias_gradient_}});
    backward_.execute(stream_, arguments);
    stream_.wait();
  }

  const Case case_;
  const bool weights_kept_;
  int checked_ = 0;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory x_, input_kernel_, recurrent_kernel_, bias_, adjoint_, hidden_;
  memory x_gradient_, input_kernel_gradient_, recurrent_kernel_gradient_, bias_gradient_, hidden_gradient_,
      cell_gradient_;
  memory zeros_, workspace_, forward_input_, forward_recurrent_, backward_input_, backward_recurrent_;
  dnnl::lstm_forward forward_;
  dnnl::lstm_backward backward_;
};

std::unique_ptr<Workload> make(const Request& request) {
  omp_set_num_threads(request.threads);
  return std::make_unique<LstmSequence>(request);
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  const dnnl_version_t* version = dnnl_version();
  return lariat::benchmarks::serve(count, arguments,
                                   fmt::format("{}.{}.{}", version->major, version->minor, version->patch),
                                   lariat::benchmarks::make);
}
