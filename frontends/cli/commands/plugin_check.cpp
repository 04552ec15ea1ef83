#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "autodiff/check/op_check.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/commands/plugin.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/little_memory.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/table.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/child_process.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

// What a child sends: one line of JSON each. What a plugin says need not be UTF-8.
class Reports {
 public:
  explicit Reports(const ChildLines& lines) : lines_(lines) {}
  void send(const Json& message) const { lines_.send(to_text(message)); }

 private:
  const ChildLines& lines_;
};

// Runs `work` in a child process, and hands over what it sends. Returns how it failed.
std::string run_child(const std::function<void(const Reports&)>& work, int64_t seconds,
                      const std::function<void(const Json&)>& receive) {
  flush_output();
  const ChildEnd end = run_in_child(
      [&](const ChildLines& lines) {
        const Reports reports(lines);
        try {
          work(reports);
        } catch (const std::bad_alloc& error) {
          reports.send({{"error", want_of_memory(error)}});
        } catch (const std::exception& error) {
          reports.send({{"error", error.what()}});
        }
      },
      {.seconds = seconds},
      [&](const std::string& line) {
        if (const Json message = parse_json(line); !message.is_discarded()) receive(message);
      });
  if (!end.started) throw JobError("plugin check: no process can be started");
  return end.failure;
}

struct PluginCheckOptions {
  std::string file, json;
  std::optional<int64_t> seconds;
  bool isolate = false;
};

void send_description(const Plugin& plugin, const Reports& reports) {
  Json ops = Json::array();
  for (const OpDef* op : plugin.ops) ops.push_back({{"op", op->name}, {"doc", op->doc}});
  reports.send({{"plugin", plugin.name}, {"version", plugin.version}, {"doc", plugin.doc}, {"ops", ops}});
}

void send_findings(const OpDef& op, int threads, const Reports& reports) {
  check_op(
      op,
      [&](const std::string& check) {
        reports.send({{"begins", check}, {"op", op.name}});
      },
      [&](const OpFinding& finding) {
        reports.send({{"op", op.name},
                      {"check", finding.check},
                      {"fault", finding.fault},
                      {"not_run", finding.not_run}});
      },
      threads);
}

// All that is found out, as it comes in.
struct Outcome {
  Json plugin = nullptr, findings = Json::array();
  std::string op, check, error;

  void receive(const Json& message) {
    if (message.contains("plugin")) plugin = message;
    if (message.contains("error")) error = message["error"];
    if (message.contains("begins")) {
      op = message["op"];
      check = message["begins"];
    }
    if (message.contains("check")) findings.push_back(message);
  }
  void died(const std::string& how) {
    findings.push_back({{"op", op}, {"check", check}, {"fault", how}, {"not_run", ""}});
  }
};

Strings op_names(const Json& plugin) {
  Strings names;
  for (const Json& op : plugin["ops"]) names.push_back(op["op"]);
  return names;
}

Outcome run_checks(const PluginCheckOptions& options) {
  Outcome outcome;
  const int64_t seconds = options.seconds.value_or(60);
  const auto receive = [&](const Json& message) { outcome.receive(message); };
  const auto checks_of = [&](const std::function<bool(const std::string&)>& chosen) {
    return run_child(
        [&](const Reports& reports) {
          const Plugin& plugin = load_plugin(options.file);
          send_description(plugin, reports);
          // As many threads again run calls at one time.
          const ThreadLimit limit(std::max(1, threads_within_limits(8) / 2));
          for (const OpDef* op : plugin.ops)
            if (chosen(op->name)) send_findings(*op, limit.threads(), reports);
        },
        seconds, receive);
  };
  const std::string died = checks_of([&](const std::string&) { return !options.isolate; });
  if (!outcome.error.empty()) throw UserError(outcome.error);
  if (!died.empty() && outcome.plugin.is_null())
    throw JobError(fmt::format("plugin check: '{}' {} while it was loaded", options.file, died));
  if (!died.empty()) outcome.died(died);
  if (!options.isolate) return outcome;
  for (const std::string& name : op_names(outcome.plugin)) {
    outcome.op = name;
    outcome.check = "shapes";
    const std::string ended = checks_of([&](const std::string& op) { return op == name; });
    if (!ended.empty()) outcome.died(ended);
  }
  return outcome;
}

}  // namespace

void plugin_check(const Strings& words) {
  Arguments arguments(
      "lariat plugin check",
      "Loads a plugin in a child process and tries its ops: shapes, every byte around their memory, "
      "repeated,\nconcurrent and parallel calls, gradients, and what they refuse.",
      "lariat plugin check ./soft_sign.so --isolate");
  PluginCheckOptions options;
  arguments.word("FILE.so", options.file, "the plugin");
  arguments.flag("--isolate", options.isolate,
                 "a process for each op: one that crashes or never ends does not hide what the others do");
  arguments.integer("--seconds", options.seconds, 1, 86400, "how long a check may take; otherwise 60");
  arguments.json(options.json);
  if (!arguments.read(words)) return;
  check_outputs({options.json}, {options.file});
  const JsonFile json(options.json);

  const Outcome outcome = run_checks(options);
  print(fmt::format("{} {}: {}\n\n", outcome.plugin["plugin"].get<std::string>(),
                    outcome.plugin["version"].get<std::string>(),
                    one_line(outcome.plugin["doc"].get<std::string>())));
  std::vector<Strings> rows;
  Strings faults, gaps;
  for (const Json& finding : outcome.findings) {
    const std::string fault = one_line(finding["fault"].get<std::string>());
    const std::string not_run = one_line(finding["not_run"].get<std::string>());
    const std::string verdict = !fault.empty()     ? "FAULT: " + fault
                                : !not_run.empty() ? "not run: " + not_run
                                                   : "good";
    rows.push_back({finding["op"], finding["check"], verdict});
    if (verdict != "good")
      (fault.empty() ? gaps : faults)
          .push_back(fmt::format("'{}': {}: {}", finding["op"].get<std::string>(),
                                 finding["check"].get<std::string>(), fault.empty() ? not_run : fault));
  }
  print(columns(rows, 0));
  json.write({{"file", options.file},
              {"plugin", outcome.plugin["plugin"]},
              {"version", outcome.plugin["version"]},
              {"ops", outcome.plugin["ops"]},
              {"checks", outcome.findings},
              {"faults", faults.size()},
              {"not_run", gaps.size()}});
  if (!faults.empty())
    throw JobError(fmt::format("plugin check: {} of {} checks failed; the first: {}", faults.size(),
                               rows.size(), faults.front()));
  if (!gaps.empty())
    throw JobError(fmt::format("plugin check: {} of {} checks did not run; the first: {}", gaps.size(),
                               rows.size(), gaps.front()));
}

}  // namespace lariat::cli
