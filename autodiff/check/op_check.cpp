#include "autodiff/check/op_check.hpp"

#include <fmt/format.h>

#include <clocale>
#include <csignal>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>
#include <thread>

#include "autodiff/check/gradcheck.hpp"
#include "autodiff/check/op_cases.hpp"
#include "autodiff/check/op_claims.hpp"
#include "autodiff/check/size_check.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

struct Reversed final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t chunk = (count + grain - 1) / grain; chunk-- > 0;)
      body(chunk * grain, std::min((chunk + 1) * grain, count));
  }
};

const auto nan_bytes = std::byte{0xff}, other_bytes = std::byte{0x7b};

std::string check_shapes(const OpCase& c) {
  const OpDef& op = *c.node->op;
  std::vector<TensorType> known, symbolic;
  const int64_t batch = c.inputs.empty() || c.inputs[0].extents().empty() ? 0 : c.inputs[0].extents()[0];
  for (const Tensor& input : c.inputs) {
    known.push_back(input.type());
    symbolic.push_back(input.type());
    if (batch > 1 && !input.extents().empty() && input.extents()[0] == batch)
      symbolic.back().shape[0] = dim::batch;
  }
  const InferContext context(known, c.node->attributes);
  const std::vector<TensorType> first = op.infer(context);
  if (first != op.infer(context)) return "inference gives another type when it is asked again";
  std::vector<TensorType> by_symbol;
  try {
    by_symbol = op.infer(InferContext(symbolic, c.node->attributes));
  } catch (const UserError&) {
    return {};  // it needs the size
  }
  for (size_t o = 0; o < first.size(); ++o) {
    const TensorType sized{by_symbol[o].dtype, to_shape(evaluate(by_symbol[o].shape, {{"batch", batch}}))};
    if (sized != first[o])
      return fmt::format(
          "inference gives {} for a batch of any size, which is {} for {}, but {} for that size",
          text(by_symbol[o]), text(sized), batch, text(first[o]));
  }
  return {};
}

// Floats are compared by gradcheck.
std::string unexpected_integer(const OpCase& c, const OpResults& results) {
  const std::vector<double>& expected = c.sample->expected;
  if (results.empty() || expected.empty() || c.node->outputs[0].dtype != i32) return {};
  const size_t count = results[0].size() / sizeof(int32_t);
  if (expected.size() != count)
    return fmt::format("{} values are expected of {} that it gives", expected.size(), count);
  for (size_t i = 0; i < count; ++i) {
    int32_t value = 0;
    std::memcpy(&value, results[0].data() + i * sizeof value, sizeof value);
    if (value != expected[i]) return fmt::format("element {} is {}; {} is expected", i, value, expected[i]);
  }
  return {};
}

std::string check_values(const OpCase& c) {
  const auto serial = make_serial_executor();
  std::string fault;
  const OpResults first = run_guarded(c, nan_bytes, *serial, &fault);
  if (!fault.empty()) return fault;
  if (const std::string wrong = unexpected_integer(c, first); !wrong.empty()) return wrong;
  // The memory of the first run is out of reach now.
  const OpResults again = run_guarded(c, nan_bytes, *serial, &fault);
  if (difference(c, first, again).empty())
    if (const std::string where = difference(c, first, run_guarded(c, other_bytes, *serial)); !where.empty())
      return fmt::format("{} is what its memory held before: not written, or read", where);
  return fault;
}

std::string check_repeats(const OpCase& c) {
  const auto serial = make_serial_executor(), threads = make_tbb_executor(4);
  const OpResults first = run_guarded(c, nan_bytes, *serial);
  const auto compare = [&](const ParallelFor& parallel, const char* how) -> std::string {
    const std::string where = difference(c, first, run_guarded(c, nan_bytes, parallel));
    return where.empty() ? "" : fmt::format("{} has other bits {}", where, how);
  };
  for (int i = 0; i < 3; ++i)
    if (const std::string fault = compare(*serial, "when it is run again"); !fault.empty()) return fault;
  if (const std::string fault = compare(Reversed(), "when chunks run in another order"); !fault.empty())
    return fault;
  return compare(*threads, "on several threads");
}

// Every thread meets the cases in another order, so that calls at one time have different data.
std::string check_concurrent(const std::vector<OpCase>& cases, int count) {
  constexpr size_t rounds = 20;
  const auto serial = make_serial_executor();
  std::vector<OpResults> expected;
  for (const OpCase& c : cases) expected.push_back(run_guarded(c, nan_bytes, *serial));
  std::vector<std::string> faults(static_cast<size_t>(count));
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < faults.size(); ++t)
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < rounds * cases.size() && faults[t].empty(); ++i) {
          const size_t chosen = (i + t) % cases.size();
          const OpCase& c = cases[chosen];
          try {
            const std::string where = difference(c, expected[chosen], run_guarded(c, nan_bytes, *serial));
            if (!where.empty())
              faults[t] =
                  fmt::format("{}: {} has other bits when {} calls run at a time", c.name, where, count);
          } catch (const Error& error) {
            faults[t] = fmt::format("{}: {}", c.name, error.what());
          }
        }
      });
  }
  const auto fault =
      std::find_if(faults.begin(), faults.end(), [](const auto& text) { return !text.empty(); });
  return fault == faults.end() ? std::string() : *fault;
}

bool is_deterministic(const OpDef& op) { return !op.plugin || plugin_origin(op).deterministic; }

std::string missing(const OpCases& cases) {
  return cases.of_op().empty() ? "nothing was run; add a sample" : cases.gap();
}

// Which outputs may be written over which inputs, as the record or the plugin says: an element-wise op over
// any.
std::vector<Traits::InPlace> in_place_pairs(const OpDef& op) {
  std::vector<Traits::InPlace> pairs = op.traits.in_place;
  if (op.traits.elementwise && !op.variadic && !op.variadic_outputs)
    for (size_t i = 0; i < op.inputs.size(); ++i) pairs.push_back({0, i});
  if (pairs.empty() && op.plugin && plugin_origin(op).in_place) pairs.push_back({0, 0});
  return pairs;
}

// Whether more than one element shows what an order of writing does.
bool fits(const OpCase& c, const Traits::InPlace& pair) {
  return c.inputs[pair.input].type() == c.node->outputs[pair.output] && c.inputs[pair.input].count() > 1;
}

std::string text_of_locale() { return std::setlocale(LC_ALL, nullptr); }

struct ProcessState {
  std::string locale = text_of_locale();
  std::array<void (*)(int), NSIG> handlers = {};
  ProcessState() {
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction action = {};
      if (sigaction(signal, nullptr, &action) == 0) handlers[static_cast<size_t>(signal)] = action.sa_handler;
    }
  }
  std::string difference(const ProcessState& later) const {
    if (later.locale != locale)
      return fmt::format("it changed the locale from {} to {}", locale, later.locale);
    for (size_t signal = 1; signal < NSIG; ++signal)
      if (handlers[signal] != later.handlers[signal])
        return fmt::format("it changed the handler of signal {}", signal);
    return {};
  }
};

std::string check_rejects(const OpDef& op) {
  for (const Reject& reject : op.rejects) {
    Graph graph;
    std::vector<Value> inputs;
    for (size_t i = 0; i < reject.inputs.size(); ++i)
      inputs.push_back(graph.input(fmt::format("x{}", i), reject.inputs[i].shape, reject.inputs[i].dtype));
    try {
      graph.add(op, inputs, reject.attributes, {}, {});
    } catch (const UserError& error) {
      if (std::string(error.what()).ends_with(": " + reject.message)) continue;
      return fmt::format("'{}' was expected, but it says: {}", reject.message, error.what());
    }
    return fmt::format("'{}' was expected, but nothing is refused", reject.message);
  }
  return {};
}

// Over each memory that the record allows, with all else as it was.
std::string check_in_place(const OpCase& c, const std::vector<Traits::InPlace>& pairs) {
  const auto serial = make_serial_executor();
  const OpResults expected = run_guarded(c, nan_bytes, *serial);
  for (const Traits::InPlace& pair : pairs) {
    if (!fits(c, pair)) continue;
    std::string fault;
    const OpResults results = run_guarded(c, nan_bytes, *serial, &fault, pair);
    if (!fault.empty()) return fault;
    if (const std::string where = difference(c, expected, results); !where.empty())
      return fmt::format("{} is another one where output {} lies over input {}", where, pair.output,
                         pair.input);
  }
  return {};
}

}  // namespace

std::vector<OpFinding> check_op(const OpDef& op, const std::function<void(const std::string&)>& begins,
                                const std::function<void(const OpFinding&)>& ends, int threads) {
  std::vector<OpFinding> findings;
  const ProcessState before;
  const auto check = [&](const std::string& name, const auto& run) {
    if (begins) begins(name);
    OpFinding finding{name};
    try {
      run(finding);
    } catch (const Error& error) {
      finding.fault = error.what();
    } catch (const std::system_error&) {
      finding.not_run = "no further thread can be started; raise the limits on processes and memory";
    } catch (const std::bad_alloc&) {
      finding.not_run = "there is not enough memory; raise the limit on it";
    }
    findings.push_back(finding);
    if (ends) ends(finding);
  };
  const bool is_gradient = !op.gradient_of.empty();
  std::optional<OpCases> cases;
  check("shapes", [&](OpFinding& finding) {
    cases.emplace(op);
    finding.fault = first_fault(cases->of_op(), check_shapes);
    if (!is_gradient) finding.not_run = missing(*cases);
  });
  if (is_gradient) return findings;
  if (!cases) return findings;
  const auto over_all = [&](const char* name, const auto& run) {
    check(name, [&](OpFinding& finding) {
      finding.not_run = missing(*cases);
      finding.fault = run(cases->of_op());
      if (finding.fault.empty()) finding.fault = run(cases->of_gradient());
    });
  };
  const auto by_case = [](const auto& run) {
    return [run](const std::vector<OpCase>& list) { return first_fault(list, run); };
  };
  over_all("values", by_case(check_values));
  if (is_deterministic(op)) {
    over_all("repeats", by_case(check_repeats));
    over_all("concurrent", [&](const std::vector<OpCase>& list) { return check_concurrent(list, threads); });
  }
  over_all("sizes", by_case(check_many_slices));
  if (const std::vector<Traits::InPlace> pairs = in_place_pairs(op); !pairs.empty())
    check("in place", [&](OpFinding& finding) {
      const std::vector<OpCase>& list = cases->of_op();
      finding.fault = first_fault(list, [&](const OpCase& c) { return check_in_place(c, pairs); });
      const auto is_shown = [&](const Traits::InPlace& pair) {
        return std::any_of(list.begin(), list.end(), [&](const OpCase& c) { return fits(c, pair); });
      };
      // An element-wise op treats all inputs alike.
      const auto shown = std::count_if(pairs.begin(), pairs.end(), is_shown);
      if (op.traits.elementwise ? shown == 0 : shown < std::ssize(pairs))
        finding.not_run =
            "add a sample with several elements in which the output has the type of the input that it may "
            "be written over";
    });
  check("gradcheck", [&](OpFinding& finding) {
    const GradcheckResult result = gradcheck(op);
    finding.not_run = result.not_run;
    finding.fault = result.detail;
    if (finding.is_good() && !result.passed)
      finding.fault = fmt::format("only {} of {} comparisons ran", result.checks, result.expected_checks);
  });
  for (const OpClaim& claim : claims_of(op, *cases)) check(claim.name, claim.check);
  check("rejects", [&](OpFinding& finding) { finding.fault = check_rejects(op); });
  check("process", [&](OpFinding& finding) { finding.fault = before.difference(ProcessState()); });
  return findings;
}

}  // namespace lariat
