#include <tbb/global_control.h>

#include "benchmarks/data.hpp"
#include "benchmarks/workers/lariat_workloads.hpp"
#include "frontends/speech/digits.hpp"
#include "graph/base/error.hpp"

namespace lariat::benchmarks {

namespace {

// Log-mel energies as the recipes for spoken digits take them, and mel spectrograms; the audio is in memory.
speech::FeatureOptions options_of(const Case& c) {
  speech::FeatureOptions options;
  options.num_mel_bins = 40;
  if (c.name.ends_with("melspectrogram")) {
    options.kind = speech::FeatureKind::melspectrogram;
    options.low_freq = 0;
    options.use_log_fbank = false;
    options.n_fft = 512;
  }
  return options;
}

class FeatureWorkload final : public Workload {
 public:
  explicit FeatureWorkload(const Request& request)
      : threads_(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(request.threads)),
        clips_(speech::load_clips(speech::list_digits(data_path("fsdd"), data::Split::test))),
        extractor_(options_of(request.what), clips_.sample_rate) {
    if (static_cast<int64_t>(clips_.clips.size()) != request.what.batch)
      throw JobError("the recordings are not those of the official test split");
  }

  double run() override { return speech::make_dataset(clips_, extractor_).examples.back().values.back(); }

  // The mean over every fourth recording, from the next one at each call.
  double check() override {
    const data::Dataset dataset = speech::make_dataset(clips_, extractor_);
    double sum = 0, count = 0;
    for (size_t i = first_++; i < dataset.examples.size(); i += 4)
      for (const float value : dataset.examples[i].values) {
        sum += value;
        ++count;
      }
    return sum / count;
  }

 private:
  tbb::global_control threads_;
  speech::ClipSet clips_;
  speech::FeatureExtractor extractor_;
  size_t first_ = 0;
};

}  // namespace

std::unique_ptr<Workload> feature_workload(const Request& request) {
  return std::make_unique<FeatureWorkload>(request);
}

}  // namespace lariat::benchmarks
