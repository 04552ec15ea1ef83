#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<Ctc>& ctc_record() {
  static const LossRecord<Ctc> record{
      .name = "ctc",
      .doc = "-log of the probability of a sequence of symbols, wherever in the frames they are",
      .fields = {},
      .per_example = nullptr,
      .task = [](const DataShape&) -> std::string { return "symbols"; },
      .takes_logits = true,
      .per_sequence = [](const Ctc&, Value outputs, Value targets,
                         Value lengths) { return ctc_loss(outputs, targets, lengths); }};
  return record;
}

}  // namespace

LossKind loss_records::ctc() { return ctc_record().kind(); }

Ctc::operator Loss() const { return ctc_record().loss(*this); }

}  // namespace lariat
