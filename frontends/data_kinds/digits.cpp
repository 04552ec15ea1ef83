#include "frontends/speech/digits.hpp"

#include <iterator>

#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/recordings.hpp"
#include "graph/base/error.hpp"

namespace lariat {

Fields<DigitsData> digits_fields() {
  return joining(data_fields<DigitsData>().integer(
      "validation", &DigitsData::validation, 0, 1000000,
      "clips of each speaker and digit to validate on, and not to train on"));
}

std::unique_ptr<DataReader> open_digits(const DigitsData& options, const DataRequest& request) {
  if (request.folds && !options.synthetic.empty())
    throw UserError(
        "data.synthetic: voices that are made would be validated on in folds; leave it out, or validate by "
        "data.validation");
  const auto validation = request.folds ? 0 : static_cast<int>(options.validation);
  const speech::DigitsOptions digits{options.held_out, validation};
  return std::make_unique<RecordingsReader>(
      [digits, path = request.path, synthetic = options.synthetic](data::Split split) {
        speech::ClipList list = speech::list_digits(path, split, digits);
        if (split != data::Split::train || synthetic.empty()) return list;
        speech::ClipList more = speech::list_digits(synthetic, data::Split::train);
        std::move(more.entries.begin(), more.entries.end(), std::back_inserter(list.entries));
        std::move(more.skipped.begin(), more.skipped.end(), std::back_inserter(list.skipped));
        return list;
      },
      validation > 0);
}

namespace {

const Fields<DigitsData>& spoken_digits_fields() {
  static const Fields<DigitsData> fields =
      digits_fields()
          .list("held_out", &DigitsData::held_out, "speakers who are the test instead")
          .text("synthetic", &DigitsData::synthetic,
                "a folder of voices that lariat demo --voices made, which are trained on too");
  return fields;
}

}  // namespace

DataKind data_kind_records::digits() {
  return {spoken_digits_fields().kind("digits", "digit_speaker_index.wav; index 0 to 4 is the test"),
          DataForm::recordings, [](const Spec& spec, const DataRequest& request) {
            return open_digits(spoken_digits_fields().read(spec), request);
          }};
}

}  // namespace lariat
