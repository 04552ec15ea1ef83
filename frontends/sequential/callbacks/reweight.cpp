#include <fmt/format.h>

#include <cmath>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "frontends/sequential/network.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

class ReweightRun final : public CallbackRun {
 public:
  explicit ReweightRun(const Reweight& options) : options_(options) {}

  void check(const FitView& view) override {
    for (const std::string& name : view.parameters)
      if (view.store.find(l1_factors_of(name)) != nullptr) return;
    throw UserError(
        fmt::format("{}no weight has an L1 penalty; give a layer one, such as kernel_penalty = "
                    "\"l1=1e-4\"",
                    view.place));
  }
  void begin(FitView& view) override {
    if (done_ > 0) return;
    for (const std::string& name : view.parameters)
      if (const Tensor* factors = view.store.find(l1_factors_of(name)))
        set(
            *factors, [](double) { return 1.0; }, *factors);
  }
  void after_epoch(FitView& view, const EpochReport& report) override {
    if (done_ >= options_.times || report.epoch % options_.every != 0) return;
    ++done_;
    for (const std::string& name : view.parameters)
      if (const Tensor* factors = view.store.find(l1_factors_of(name)))
        set(
            *factors, [&](double w) { return options_.epsilon / (std::abs(w) + options_.epsilon); },
            view.store.get(name));
  }
  std::string state() const override { return to_text(Json{{"done", done_}}); }
  void restore(const std::string& state) override { done_ = parse_json(state).at("done").get<int64_t>(); }

 private:
  template <class Function>
  static void set(const Tensor& factors, Function&& function, const Tensor& weights) {
    with_type(factors.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < factors.count(); ++i)
        factors.data<T>()[i] = static_cast<T>(function(weights.at(i)));
    });
  }

  Reweight options_;
  int64_t done_ = 0;
};

const CallbackRecord<Reweight>& reweight_record() {
  static const CallbackRecord<Reweight> record{
      .name = "reweight",
      .doc = "L1 with a factor of its own on every weight, less on large ones; Candès, Wakin and Boyd (2008)",
      .fields = Fields<Reweight>()
                    .integer("every", &Reweight::every, 1, 1000000, "epochs from one time to the next")
                    .integer("times", &Reweight::times, 1, 1000000, "how often factors are set")
                    .number("epsilon", &Reweight::epsilon, 1e-9, 1e9, "ε in the factor ε/(|w| + ε)"),
      .start = [](const Reweight& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<ReweightRun>(options);
      },
      .reweights = true};
  return record;
}

}  // namespace

CallbackKind callback_records::reweight() { return reweight_record().kind(); }
Reweight::operator Callback() const { return reweight_record().callback(*this); }

}  // namespace lariat
