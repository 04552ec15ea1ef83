#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>

#include "frontends/sequential/fit.hpp"

namespace lariat::cli {

/// A line on standard error that is drawn again in its place; only on a terminal, at most ten times a second,
/// and never wider than that.
class LiveLine {
 public:
  ~LiveLine() { clear(); }
  /// Whether draw() would draw now: what it costs to make the text can be saved otherwise.
  bool due() const;
  void draw(const std::string& text);
  /// Takes the line away, before something else is printed.
  void clear();

 private:
  std::chrono::steady_clock::time_point last_ = {};
  bool drawn_ = false;
};

/// "[=====>    ]", `done` from 0 to 1.
std::string bar(double done, int width);

/// Training, for people: a bar with loss, accuracy, zeros and the time left on a terminal, one line an epoch
/// elsewhere.
class TrainingProgress {
 public:
  TrainingProgress(int64_t epochs, bool quiet);
  void step(const StepReport& report);
  void epoch(const EpochReport& report);
  void finish() { line_.clear(); }

 private:
  int64_t epochs_;
  bool quiet_;
  LiveLine line_;
  std::string epoch_figures_;  // accuracy, zeros and so on of the last epoch, for the bar
  double loss_ = 0, penalty_ = 0;
  int64_t counted_ = 0;
  // The share of the work that was done when this run began to count, and when that was.
  double first_share_ = -1;
  std::chrono::steady_clock::time_point first_time_ = {};
};

/// Work of which `done` of `total` pieces are over: a bar on a terminal, a line for each quarter elsewhere.
/// May be called from several threads.
class CountedProgress {
 public:
  CountedProgress(std::string what, bool quiet) : what_(std::move(what)), quiet_(quiet) {}
  void operator()(size_t done, size_t total);
  void finish() { line_.clear(); }

 private:
  std::string what_;
  bool quiet_;
  std::mutex mutex_;
  LiveLine line_;
  size_t quarters_ = 0;
};

}  // namespace lariat::cli
