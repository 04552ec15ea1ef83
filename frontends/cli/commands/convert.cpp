#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

// The largest difference of two tensors' elements, and how many have become zero.
struct Change {
  double largest = 0;
  int64_t zeros = 0;
};

Change change_of(const Tensor& before, const Tensor& after) {
  Change change;
  for (int64_t i = 0; i < before.count(); ++i) {
    const double x = before.at(i), y = after.at(i);
    change.largest = std::max(change.largest, std::fabs(x - y));
    change.zeros += x != 0 && y == 0 ? 1 : 0;
  }
  return change;
}

}  // namespace

static void convert(const Strings& words) {
  Arguments arguments(
      "lariat convert",
      "Writes a saved model in another form: coded by its zeros, with every bit of its numbers "
      "or shorter ones, or plain, for other programs that read safetensors.",
      "lariat convert digits.safetensors --weights int8 --out small.safetensors\n"
      "lariat convert small.safetensors --dense --out plain.safetensors");
  std::string file, out, json_name;
  bool dense = false;
  NumberForm form = NumberForm::float32;
  arguments.input_word("MODEL", file, "what lariat train wrote");
  arguments.output("--out", "MODEL", out, "the model file to write");
  arguments.flag("--dense", dense, "every tensor as it is, number by number");
  arguments.weights(form);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  if (out.empty()) throw UsageError("lariat convert: --out is missing: name the file to write");
  check_outputs({out, json_name}, {file});
  const JsonFile json(json_name);

  StoredTensors stored_before, stored_after;
  Store store = Store::load(file, &stored_before);
  check_format(store, model_format, file);
  check_finite(store, file);
  const Store before = store;
  if (form != NumberForm::float32)
    round_weights(store, Sequential::from_store(store, file).network(), form, file);
  save_model(store, out, dense ? Packing::plain : Packing::coded);
  const double bytes_before = file_bytes(file), bytes_after = file_bytes(out);
  if (!is_written_in_place(out)) Store::load(out, &stored_after);

  std::vector<Strings> rows{{"tensor", "before", "", "after", "", "largest change", "become zero"}};
  Json tensors = Json::array();
  for (const auto& [name, tensor] : store) {
    const StoredTensor& from = stored_before.at(name);
    const StoredTensor to = stored_after.contains(name) ? stored_after.at(name) : StoredTensor{};
    const Change change = change_of(before.get(name), tensor);
    rows.push_back({name, bytes_text(static_cast<double>(from.bytes)), from.form,
                    bytes_text(static_cast<double>(to.bytes)), to.form,
                    change.largest == 0 ? "" : fmt::format("{:.2g}", change.largest),
                    change.zeros == 0 ? "" : grouped(change.zeros)});
    tensors.push_back({{"name", name},
                       {"bytes_before", from.bytes},
                       {"bytes_after", to.bytes},
                       {"stored_before", from.form},
                       {"stored_as", to.form},
                       {"largest_change", change.largest},
                       {"become_zero", change.zeros}});
  }
  print(columns(rows, 0) +
        fmt::format("\n{}: {}; {}: {}\n", file, bytes_text(bytes_before), out, bytes_text(bytes_after)));
  json.write({{"file", file},
              {"out", out},
              {"bytes_before", static_cast<int64_t>(bytes_before)},
              {"bytes_after", static_cast<int64_t>(bytes_after)},
              {"weights", name_of(form)},
              {"dense", dense},
              {"tensors", tensors}});
}

Command command_records::convert() {
  return {"convert", "write a saved model in another form: plain, or with shorter numbers", cli::convert,
          CommandGroup::files};
}

}  // namespace lariat::cli
