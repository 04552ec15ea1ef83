#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/recordings.hpp"

namespace lariat {

namespace {

const Fields<DigitsData>& demo_fields() {
  static const Fields<DigitsData> fields = digits_fields();
  return fields;
}

}  // namespace

DataKind data_kind_records::demo() {
  return {demo_fields().kind("demo", "the corpus that lariat demo generates; its test has voices of its own"),
          DataForm::recordings, [](const Spec& spec, const DataRequest& request) {
            return open_digits(demo_fields().read(spec), request);
          }};
}

}  // namespace lariat
