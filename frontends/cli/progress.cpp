#include "frontends/cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/cli/console.hpp"
#include "graph/base/clock.hpp"

namespace lariat::cli {

namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);
constexpr int bar_width = 20;

std::string losses(double smooth, double penalty) {
  return penalty == 0
             ? fmt::format("loss {:#.4g}", smooth)
             : fmt::format("loss {:#.4g} = {:#.4g} + penalty {:#.4g}", smooth + penalty, smooth, penalty);
}

std::string figures_of(const EpochReport& report) {
  std::string text;
  if (report.accuracy) text += "  accuracy " + percent(*report.accuracy);
  if (report.validation_accuracy) text += "  validation " + percent(*report.validation_accuracy);
  const MetricValues& shown = report.validation_metrics.empty() ? report.metrics : report.validation_metrics;
  for (const auto& [name, value] : shown)
    if (name != "accuracy")
      text += fmt::format("  {}{} {}", &shown == &report.metrics ? "" : "validation ", name,
                          metric_text(name, value));
  if (report.penalised.count > 0) text += "  exact zeros " + percent(report.penalised.fraction());
  if (report.support_changes)
    text += fmt::format("  support changes {}", small_percent(*report.support_changes));
  if (report.prox_residual) text += fmt::format("  prox residual {:.3g}", *report.prox_residual);
  return text;
}

}  // namespace

bool LiveLine::due() const { return on_terminal() && (!drawn_ || Clock::now() - last_ >= redraw_interval); }

void LiveLine::draw(const std::string& text) {
  if (!due()) return;
  note_unchanged("\r" + fitted(one_line(text), static_cast<size_t>(terminal_width() - 1)) + "\x1b[K");
  last_ = Clock::now();
  drawn_ = true;
}

void LiveLine::clear() {
  if (drawn_) note_unchanged("\r\x1b[K");
  drawn_ = false;
}

std::string bar(double done, int width) {
  const int filled = std::clamp(static_cast<int>(done * width), 0, width);
  std::string text = "[" + std::string(static_cast<size_t>(filled), '=');
  if (filled < width) text += ">" + std::string(static_cast<size_t>(width - filled - 1), ' ');
  return text + "]";
}

TrainingProgress::TrainingProgress(int64_t epochs, bool quiet) : epochs_(epochs), quiet_(quiet) {}

void TrainingProgress::step(const StepReport& report) {
  if (quiet_) return;
  if (report.step == 1 || counted_ == 0) loss_ = penalty_ = 0, counted_ = 0;
  loss_ += report.result.smooth;
  penalty_ += report.result.penalty;
  ++counted_;
  const auto done_steps = static_cast<double>((report.epoch - 1) * report.steps + report.step);
  const double share = done_steps / static_cast<double>(report.epochs * report.steps);
  if (first_share_ < 0) {
    first_share_ = share;
    first_time_ = Clock::now();
  }
  if (!line_.due()) return;
  std::string left;
  if (share > first_share_)
    left = "  " + duration(seconds_since(first_time_) * (1 - share) / (share - first_share_)) + " left";
  const auto count = static_cast<double>(counted_);
  line_.draw(fmt::format("epoch {}/{} {}{}  {}{}", report.epoch, report.epochs, bar(share, bar_width), left,
                         losses(loss_ / count, penalty_ / count), epoch_figures_));
}

void TrainingProgress::epoch(const EpochReport& report) {
  counted_ = 0;
  epoch_figures_ = figures_of(report);
  if (quiet_) return;
  line_.clear();
  note(fmt::format("epoch {:>{}}/{}  {}{}  {}\n", report.epoch, fmt::formatted_size("{}", epochs_), epochs_,
                   losses(report.smooth, report.penalty), epoch_figures_, duration(report.seconds)));
}

void CountedProgress::operator()(size_t done, size_t total) {
  if (quiet_ || total == 0) return;
  const std::lock_guard lock(mutex_);
  const double share = static_cast<double>(done) / static_cast<double>(total);
  if (on_terminal()) return line_.draw(fmt::format("{} {} {}/{}", what_, bar(share, bar_width), done, total));
  const size_t quarters = 4 * done / total;
  if (quarters > quarters_) note(fmt::format("{} {}/{}\n", what_, done, total));
  quarters_ = quarters;
}

}  // namespace lariat::cli
