#pragma once

#include "frontends/data_kinds/data_kind.hpp"

namespace lariat {

/// The key that kinds of recordings have beside those of every kind.
template <class Options>
Fields<Options> joining(Fields<Options> fields) {
  return fields.integer("join", &Options::join, 1, most_joined,
                        "with the loss ctc: an example is 1 to so many recordings of a speaker, one behind "
                        "the other; each is the first of one");
}

/// Recordings in files, of which `listed` gives a split.
class RecordingsReader : public DataReader {
 public:
  using List = std::function<speech::ClipList(data::Split split)>;
  RecordingsReader(List listed, bool validates) : listed_(std::move(listed)), validates_(validates) {}

  bool holds(const std::filesystem::path& file) const override {
    return speech::is_audio_file(file.string());
  }
  bool validates() const override { return validates_; }
  speech::ClipList list(data::Split split) const override { return listed_(split); }

 private:
  List listed_;
  bool validates_;
};

/// Of files named digit_speaker_index.wav.
struct DigitsData : DataOptions {
  int64_t validation = 0;
  std::vector<std::string> held_out;
  /// A folder of voices that are trained on too.
  std::string synthetic;
};
Fields<DigitsData> digits_fields();
std::unique_ptr<DataReader> open_digits(const DigitsData& options, const DataRequest& request);

}  // namespace lariat
