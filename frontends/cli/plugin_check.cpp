#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "autodiff/op_check.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/plugin.hpp"
#include "frontends/cli/table.hpp"
#include "graph/error.hpp"
#include "graph/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

// What a child sends: one line of JSON each.
class Reports {
 public:
  explicit Reports(int descriptor) : descriptor_(descriptor) {}
  void send(const Json& message) const {
    // What a plugin says need not be UTF-8.
    const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t count = write(descriptor_, line.data() + sent, line.size() - sent);
      if (count < 0 && errno != EINTR) _exit(125);
      if (count > 0) sent += static_cast<size_t>(count);
    }
  }

 private:
  int descriptor_;
};

std::string ending(int status) {
  if (WIFSIGNALED(status)) {
    const char* what = strsignal(WTERMSIG(status));
    return fmt::format("ended the process by signal {} ({})", WTERMSIG(status), what ? what : "unknown");
  }
  return fmt::format("ended the process with exit status {}", WEXITSTATUS(status));
}

// Runs `work` in a child process, and hands over what it sends. Returns how it failed: it ended before it had
// sent
// {"done": true}, or said nothing for `seconds`.
std::string run_child(const std::function<void(const Reports&)>& work, int64_t seconds,
                      const std::function<void(const Json&)>& receive) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw JobError("plugin check: no pipe can be made");
  flush_output();
  const pid_t child = fork();
  if (child < 0) throw JobError("plugin check: no process can be started");
  if (child == 0) {
    close(ends[0]);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const Reports reports(ends[1]);
    try {
      work(reports);
      reports.send({{"done", true}});
    } catch (const std::exception& error) {
      reports.send({{"error", error.what()}, {"done", true}});
    }
    _exit(0);
  }
  close(ends[1]);
  std::string received, failure;
  bool done = false;
  auto heard = Clock::now();
  while (true) {
    pollfd ready{ends[0], POLLIN, 0};
    const auto left = std::chrono::seconds(seconds) - (Clock::now() - heard);
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    if (wait <= 0) {
      failure = fmt::format("did not end within {} s", seconds);
      break;
    }
    poll(&ready, 1, static_cast<int>(std::min<int64_t>(wait, 1000)));
    if ((ready.revents & (POLLIN | POLLHUP)) == 0) continue;
    char block[4096];
    const ssize_t count = read(ends[0], block, sizeof block);
    if (count <= 0) break;
    heard = Clock::now();
    received.append(block, static_cast<size_t>(count));
    for (size_t end; (end = received.find('\n')) != std::string::npos; received.erase(0, end + 1)) {
      const Json message = Json::parse(received.substr(0, end), nullptr, false);
      if (message.is_discarded()) continue;
      done |= message.contains("done");
      receive(message);
    }
  }
  close(ends[0]);
  if (!failure.empty()) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return !failure.empty() ? failure : done ? std::string() : ending(status);
}

struct Options {
  std::string file, json;
  std::optional<int64_t> seconds;
  bool isolate = false;
};

void send_description(const Plugin& plugin, const Reports& reports) {
  Json ops = Json::array();
  for (const OpDef* op : plugin.ops) ops.push_back({{"op", op->name}, {"doc", op->doc}});
  reports.send({{"plugin", plugin.name}, {"version", plugin.version}, {"doc", plugin.doc}, {"ops", ops}});
}

void send_findings(const OpDef& op, const Reports& reports) {
  check_op(
      op,
      [&](const std::string& check) {
        reports.send({{"begins", check}, {"op", op.name}});
      },
      [&](const OpFinding& finding) {
        reports.send({{"op", op.name}, {"check", finding.check}, {"fault", finding.fault}});
      });
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
  void died(const std::string& how) { findings.push_back({{"op", op}, {"check", check}, {"fault", how}}); }
};

Strings op_names(const Json& plugin) {
  Strings names;
  for (const Json& op : plugin["ops"]) names.push_back(op["op"]);
  return names;
}

Outcome run_checks(const Options& options) {
  Outcome outcome;
  const int64_t seconds = options.seconds.value_or(60);
  const auto receive = [&](const Json& message) { outcome.receive(message); };
  const auto checks_of = [&](const std::function<bool(const std::string&)>& chosen) {
    return run_child(
        [&](const Reports& reports) {
          const Plugin& plugin = load_plugin(options.file);
          send_description(plugin, reports);
          for (const OpDef* op : plugin.ops)
            if (chosen(op->name)) send_findings(*op, reports);
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
  Options options;
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
  Strings faults;
  for (const Json& finding : outcome.findings) {
    const std::string fault = one_line(finding["fault"].get<std::string>());
    rows.push_back({finding["op"], finding["check"], fault.empty() ? "good" : "FAULT: " + fault});
    if (!fault.empty())
      faults.push_back(fmt::format("'{}': {}: {}", finding["op"].get<std::string>(),
                                   finding["check"].get<std::string>(), fault));
  }
  print(columns(rows, 0));
  json.write({{"file", options.file},
              {"plugin", outcome.plugin["plugin"]},
              {"version", outcome.plugin["version"]},
              {"ops", outcome.plugin["ops"]},
              {"checks", outcome.findings},
              {"faults", faults.size()}});
  if (!faults.empty())
    throw JobError(fmt::format("plugin check: {} of {} checks failed; the first: {}", faults.size(),
                               rows.size(), faults.front()));
}

}  // namespace lariat::cli
