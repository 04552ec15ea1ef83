#include "graph/exec/trace.hpp"

#include <atomic>
#include <nlohmann/json.hpp>

#include "graph/atomic_file.hpp"

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
  std::string shapes;
  for (const TensorView& view : step.inputs) shapes += text(view.extents) + " ";
  shapes += "->";
  for (const TensorView& view : step.outputs) shapes += " " + text(view.extents);
  const double end = now();
  const std::lock_guard lock(mutex_);
  events_.push_back({op.name, node, std::move(shapes), begin, end, thread_number()});
}

void Trace::save(const std::string& file) const {
  nlohmann::json events = nlohmann::json::array();
  for (const Event& event : events_)
    events.push_back({{"name", event.op},
                      {"ph", "X"},
                      {"ts", event.begin},
                      {"dur", event.end - event.begin},
                      {"pid", 1},
                      {"tid", event.thread},
                      {"args", {{"node", event.node}, {"shapes", event.shapes}}}});
  const std::string json = nlohmann::json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
  AtomicFile out(file);
  out.write(json.data(), json.size());
  out.commit();
}

}  // namespace lariat
