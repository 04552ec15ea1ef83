#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat {

namespace {

constexpr const char* best_checkpoint_ending = ".best";

class BestCheckpointRun final : public CallbackRun {
 public:
  explicit BestCheckpointRun(const BestCheckpoint& options)
      : options_(options), monitor_(callback_parts::BestEpoch::of(options)) {}

  void check(const FitView& view) override { monitor_.begin(view); }
  void begin(FitView& view) override {
    file_ = callback_parts::file_of(view, "file", options_.file, best_checkpoint_ending);
    AtomicFile::check(file_);
  }
  void after_epoch(FitView& view, const EpochReport& report) override {
    if (monitor_.is_best(view, report)) view.save(file_);
  }
  std::string state() const override { return monitor_.state(); }
  void restore(const std::string& state) override { monitor_.restore(state); }

 private:
  BestCheckpoint options_;
  callback_parts::Monitor monitor_;
  std::string file_;
};

const CallbackRecord<BestCheckpoint>& best_checkpoint_record() {
  static const CallbackRecord<BestCheckpoint> record{
      .name = "best_checkpoint",
      .doc = "writes the model after each epoch that is the best so far",
      .fields = callback_parts::best_fields<BestCheckpoint>().text("file", &BestCheckpoint::file,
                                                                   "to write; empty: MODEL.best"),
      .start = [](const BestCheckpoint& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<BestCheckpointRun>(options);
      },
      .ending = best_checkpoint_ending};
  return record;
}

}  // namespace

CallbackKind callback_records::best_checkpoint() { return best_checkpoint_record().kind(); }
BestCheckpoint::operator Callback() const { return best_checkpoint_record().callback(*this); }

}  // namespace lariat
