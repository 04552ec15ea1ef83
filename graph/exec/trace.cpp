#include "graph/exec/trace.hpp"

#include <algorithm>
#include <atomic>
#include <map>

#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat {

namespace {

int thread_number() {
  static std::atomic<int> next = 0;
  thread_local const int mine = next++;
  return mine;
}

}  // namespace

double Trace::now() const {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_).count();
}

void Trace::add(const OpDef& op, const std::string& node, const Step& step, double begin) {
  const double end = now();
  std::string shapes;
  for (const TensorView& view : step.inputs) shapes += text(view.extents) + " ";
  shapes += "->";
  for (const TensorView& view : step.outputs) shapes += " " + text(view.extents);
  const std::lock_guard lock(mutex_);
  events_.push_back({op.name, node, std::move(shapes), begin, end, thread_number(), step.cost});
}

std::vector<Trace::OpTotal> Trace::totals() const {
  std::map<std::string, OpTotal> by_op;
  for (const Event& event : events_) {
    OpTotal& total = by_op[event.op];
    total.op = event.op;
    ++total.runs;
    total.microseconds += event.end - event.begin;
    total.flops += event.cost.flops;
    total.bytes += event.cost.bytes;
  }
  std::vector<OpTotal> result;
  for (auto& [op, total] : by_op) result.push_back(std::move(total));
  std::sort(result.begin(), result.end(),
            [](const OpTotal& a, const OpTotal& b) { return a.microseconds > b.microseconds; });
  return result;
}

void Trace::save(const std::string& file) const {
  Json events = Json::array();
  for (const Event& event : events_)
    events.push_back({{"name", event.op},
                      {"ph", "X"},
                      {"ts", event.begin},
                      {"dur", event.end - event.begin},
                      {"pid", 1},
                      {"tid", event.thread},
                      {"args", {{"node", event.node}, {"shapes", event.shapes}}}});
  const std::string json = Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
  AtomicFile out(file);
  out.write(json.data(), json.size());
  out.commit();
}

}  // namespace lariat
