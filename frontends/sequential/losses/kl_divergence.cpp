#include <limits>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<KlDivergence>& kl_divergence_record() {
  static const LossRecord<KlDivergence> record{
      .name = "kl_divergence",
      .doc = "the Kullback-Leibler divergence of the model's distribution from the right share of each class",
      .fields = Fields<KlDivergence>().numbers("class_weights", &KlDivergence::class_weights, 0,
                                               std::numeric_limits<double>::max(),
                                               "how much each class counts; empty: alike"),
      .per_example =
          [](const KlDivergence& options, Value outputs, Value targets) {
            // 0·log 0 is 0.
            const Value t = loss_parts::shares(targets, outputs),
                        weighted = loss_parts::weighted_shares(targets, outputs, options.class_weights);
            return sum(weighted * (log(maximum(t, 1e-30)) - log_softmax(outputs)), {-1});
          },
      .task = loss_parts::classes,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::kl_divergence() { return kl_divergence_record().kind(); }

KlDivergence::operator Loss() const { return kl_divergence_record().loss(*this); }

}  // namespace lariat
