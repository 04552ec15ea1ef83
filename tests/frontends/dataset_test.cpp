#include "frontends/data/dataset.hpp"

#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include "frontends/data/random.hpp"
#include "frontends/speech/digits.hpp"
#include "frontends/speech/labelled_folders.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::dataset_test {

namespace fs = std::filesystem;
using namespace lariat::data;
using namespace lariat::speech;
using lariat::UserError;
using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;

namespace {

void write_noise(const std::string& file, uint64_t seed, size_t samples = 1000, int rate = 8000) {
  Audio audio{std::vector<float>(samples), rate};
  RandomStream random(seed, RandomPurpose::noise);
  for (float& sample : audio.samples) sample = float(1000 * random.normal());
  fs::create_directories(fs::path(file).parent_path());
  write_wav(file, audio);
}

// 2 digits × 2 speakers × index 0 … 11.
void write_digits(const TemporaryFolder& folder) {
  uint64_t seed = 0;
  for (const char* digit : {"3", "7"})
    for (const char* speaker : {"ann", "bob_jr"})
      for (int i = 0; i < 12; ++i) {
        write_noise(folder / (std::string(digit) + "_" + speaker + "_" + std::to_string(i) + ".wav"), seed++);
      }
}

std::set<std::string> names_of(const ClipList& list) {
  std::set<std::string> names;
  for (const auto& entry : list.entries) names.insert(fs::path(entry.file).filename().string());
  CHECK(names.size() == list.entries.size());
  return names;
}

// Every clip is in exactly one of the three splits.
template <class List>
void check_partition(List&& list, size_t train, size_t validation, size_t test) {
  const auto a = names_of(list(Split::train)), c = names_of(list(Split::test));
  const auto b = validation == 0 ? std::set<std::string>() : names_of(list(Split::validation));
  CHECK(a.size() == train);
  CHECK(b.size() == validation);
  CHECK(c.size() == test);
  std::set<std::string> all = a;
  all.insert(b.begin(), b.end());
  all.insert(c.begin(), c.end());
  CHECK(all.size() == train + validation + test);
}

}  // namespace

TEST_CASE("digits: the official split, with and without a validation slice") {
  const TemporaryFolder folder;
  write_digits(folder);
  check_partition([&](Split split) { return list_digits(folder.text(), split); }, 28, 0, 20);
  check_partition([&](Split split) { return list_digits(folder.text(), split, {{}, 3}); }, 16, 12, 20);
  const ClipList test = list_digits(folder.text(), Split::test);
  CHECK(test.classes == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  CHECK(fs::path(test.entries.front().file).filename() == "3_ann_0.wav");
  CHECK(test.entries.front().label == 3);
  CHECK(fs::path(test.entries.back().file).filename() == "7_bob_jr_4.wav");
  CHECK(test.entries.back().label == 7);
  // Sorted as numbers: index 10 comes after 9.
  CHECK(fs::path(list_digits(folder.text(), Split::train).entries[6].file).filename() == "3_ann_11.wav");
  CHECK(digit_speakers(folder.text()) == std::vector<std::string>{"ann", "bob_jr"});
}

TEST_CASE("digits: speakers held out are the whole test") {
  const TemporaryFolder folder;
  write_digits(folder);
  const auto list = [&](Split split) { return list_digits(folder.text(), split, {{"bob_jr"}, 5}); };
  check_partition(list, 14, 10, 24);
  for (const std::string& name : names_of(list(Split::test))) CHECK(name.find("bob_jr") == 2);
}

TEST_CASE("digits: bad folders and options") {
  const TemporaryFolder folder;
  CHECK(message_of<UserError>([&] { list_digits(folder / "none", Split::test); }) ==
        "'" + folder / "none" + "': there is no such folder; check the path");
  CHECK(message_of<UserError>([&] { list_digits(folder.text(), Split::test); }) ==
        "'" + folder.text() +
            "' holds no digit_speaker_index.wav, such as 7_jackson_32.wav; give the folder that holds the "
            "recordings");
  write_digits(folder);
  CHECK(message_of<UserError>([&] {
          list_digits(folder.text(), Split::test, {{"bob"}, 0});
        }) == "data.held_out: '" + folder.text() + "' has no speaker 'bob'; it has ann, bob_jr");
  CHECK(message_of<UserError>([&] {
          list_digits(folder.text(), Split::train, {{"ann", "bob_jr"}, 0});
        }) == "'" + folder.text() + "' has no clips for the train split; hold out fewer speakers");
  CHECK(message_of<UserError>([&] {
          list_digits(folder.text(), Split::train, {{}, 7});
        }) == "'" + folder.text() +
                  "' has no clips for the train split; index 0 to 4 is the test, the rest is for training");
  CHECK(message_of<UserError>([&] { list_digits(folder.text(), Split::validation); }) ==
        "data.validation = 0: must be an integer from 1");
  CHECK(message_of<UserError>([&] {
          list_digits(folder.text(), Split::train, {{}, -1});
        }) == "data.validation = -1: must be an integer from 0");
}

TEST_CASE("clips: files that cannot be used are skipped and named, others converted with a notice") {
  const TemporaryFolder folder;
  write_noise(folder / "1_ann_5.wav", 1);
  write_noise(folder / "1_ann_6.wav", 2, 2000, 16000);
  write_noise(folder / "1_ann_7.wav", 3, 2000, 16000);
  write_noise(folder / "1_ann_8.wav", 4, 150);
  std::ofstream(folder / "1_ann_9.wav") << "no audio";
  std::ofstream(folder / "2_ann_5.wav");
  write_noise(folder / "seven.wav", 5);
  std::ofstream(folder / "README.md") << "not audio and not named";
  const ClipSet clips = load_clips(list_digits(folder.text(), Split::train));
  CHECK(clips.sample_rate == 8000);
  CHECK(clips.clips.size() == 4);
  const Dataset dataset = make_dataset(clips, FeatureExtractor({}, clips.sample_rate));
  REQUIRE(dataset.examples.size() == 3);
  CHECK(dataset.examples[0].source == folder / "1_ann_5.wav");
  CHECK(dataset.examples[0].label == 1);
  CHECK(dataset.examples[0].frames == 11);
  CHECK(dataset.examples[0].dimensions == 40);
  CHECK(dataset.examples[0].values.size() == 440);
  CHECK(dataset.skipped ==
        std::vector<std::string>{
            folder / "seven.wav" + ": is not named digit_speaker_index.wav",
            folder / "1_ann_9.wav" +
                ": cannot be read as audio (Format not recognised); give WAV, FLAC, AIFF or SPHERE",
            folder / "2_ann_5.wav" + ": the file is empty; record it again or leave it out",
            folder / "1_ann_8.wav" +
                ": too short: 150 samples at 8000 Hz where features take at least 200; record "
                "more or leave it out"});
  CHECK(dataset.notices ==
        std::vector<std::string>{"2 files: resampled from 16000 Hz to 8000 Hz (the first is " +
                                 folder / "1_ann_6.wav" + ")"});
}

TEST_CASE("clips: no usable clip is an error") {
  const TemporaryFolder folder;
  std::ofstream(folder / "2_ann_5.wav");
  CHECK(message_of<UserError>([&] { load_clips(list_digits(folder.text(), Split::train)); }) ==
        "none of 1 clips can be used; the first: " + folder / "2_ann_5.wav" +
            ": the file is empty; record it again or leave it out");
  // Files whose names say nothing are none of them.
  write_noise(folder / "seven.wav", 1);
  CHECK(message_of<UserError>([&] { load_clips(list_digits(folder.text(), Split::train)); }) ==
        "none of 1 clips can be used; the first: " + folder / "2_ann_5.wav" +
            ": the file is empty; record it again or leave it out");
  write_noise(folder / "2_ann_5.wav", 1, 100);
  const ClipSet clips = load_clips(list_digits(folder.text(), Split::train));
  CHECK(message_of<UserError>([&] { make_dataset(clips, FeatureExtractor({}, 8000)); }) ==
        "none of 1 clips can be used; the first: " + folder / "2_ann_5.wav" +
            ": too short: 100 samples at 8000 Hz where features take at least 200; record more or leave it "
            "out");
}

TEST_CASE("clips: the dataset does not depend on the number of threads, nor on an earlier epoch") {
  const TemporaryFolder folder;
  write_digits(folder);
  const ClipSet clips = load_clips(list_digits(folder.text(), Split::train));
  const FeatureExtractor extractor({}, 8000);
  Augmentation augmentation;
  augmentation.options.speed_min = 0.8;
  augmentation.options.speed_max = 1.25;
  augmentation.options.noise_probability = 0.5;
  augmentation.options.time_masks = 2;
  augmentation.options.frequency_masks = 2;
  const auto values_of = [&](const Augmentation* change, int threads) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    std::vector<std::vector<float>> values;
    for (const Example& example : make_dataset(clips, extractor, nullptr, change).examples)
      values.push_back(example.values);
    return values;
  };
  CHECK(values_of(nullptr, 1) == values_of(nullptr, 4));
  const auto first = values_of(&augmentation, 1);
  CHECK(first != values_of(nullptr, 1));
  augmentation.epoch = 1;
  CHECK(values_of(&augmentation, 3) != first);
  augmentation.epoch = 0;
  CHECK(values_of(&augmentation, 4) == first);
  augmentation.seed = 1;
  CHECK(values_of(&augmentation, 4) != first);
}

TEST_CASE("clips: each clip is augmented in its own way; statistics come before the masks") {
  const TemporaryFolder folder;
  write_noise(folder / "1_ann_5.wav", 1);
  write_noise(folder / "1_ann_6.wav", 1);
  const ClipSet clips = load_clips(list_digits(folder.text(), Split::train));
  const FeatureExtractor extractor({}, 8000);
  Augmentation augmentation;
  augmentation.options.gain_min = -10;
  augmentation.options.gain_max = 10;
  const Dataset louder = make_dataset(clips, extractor, nullptr, &augmentation);
  CHECK(louder.examples[0].values != louder.examples[1].values);
  Dataset wanted = make_dataset(clips, extractor);
  CHECK(wanted.examples[0].values == wanted.examples[1].values);
  const CmvnStatistics statistics = compute_cmvn(wanted);
  apply_cmvn(statistics, wanted);
  CHECK(make_dataset(clips, extractor, &statistics).examples[0].values == wanted.examples[0].values);
  augmentation.options = {};
  augmentation.options.frequency_masks = 1;
  augmentation.options.frequency_mask_width = 20;
  const Dataset masked = make_dataset(clips, extractor, &statistics, &augmentation);
  for (uint32_t i = 0; i < 2; ++i) {
    const Example& example = wanted.examples[i];
    FeatureMatrix features{example.frames, example.dimensions, example.values};
    augment(features, augmentation.options, 0, 0, i);
    CHECK(masked.examples[i].values == features.values);
    CHECK(masked.examples[i].values != example.values);
  }
}

TEST_CASE("clips: a clip that augmentation makes too short is used as it was") {
  const TemporaryFolder folder;
  write_noise(folder / "1_ann_5.wav", 1, 210);
  const ClipSet clips = load_clips(list_digits(folder.text(), Split::train));
  const FeatureExtractor extractor({}, 8000);
  Augmentation augmentation;
  augmentation.options.speed_min = augmentation.options.speed_max = 2;
  CHECK(make_dataset(clips, extractor, nullptr, &augmentation).examples.at(0).values ==
        make_dataset(clips, extractor).examples.at(0).values);
  augmentation.options.speed_max = 1;
  CHECK(message_of<UserError>([&] { make_dataset(clips, extractor, nullptr, &augmentation); }) ==
        "speed_min = 2: must be at most speed_max = 1");
}

TEST_CASE("labelled folders: the lists decide the split") {
  const TemporaryFolder folder;
  uint64_t seed = 0;
  for (const char* label : {"yes", "no", "_background_noise_"})
    for (const char* name : {"a.wav", "b.wav", "c.wav", "d.wav"})
      write_noise(folder / (std::string(label) + "/" + name), seed++);
  std::ofstream(folder / "testing_list.txt") << "yes/a.wav\r\nno/b.wav\nno/absent.wav\n";
  std::ofstream(folder / "validation_list.txt") << "yes/d.wav\n";
  const auto files = [&](Split split) {
    std::vector<std::string> names;
    for (const auto& entry : list_labelled_folders(folder.text(), split).entries) {
      names.push_back(fs::relative(entry.file, folder.path()).string() + "=" + std::to_string(entry.label));
    }
    return names;
  };
  CHECK(list_labelled_folders(folder.text(), Split::test).classes == std::vector<std::string>{"no", "yes"});
  CHECK(files(Split::test) == std::vector<std::string>{"no/b.wav=0", "yes/a.wav=1"});
  CHECK(files(Split::validation) == std::vector<std::string>{"yes/d.wav=1"});
  CHECK(files(Split::train) ==
        std::vector<std::string>{"no/a.wav=0", "no/c.wav=0", "no/d.wav=0", "yes/b.wav=1", "yes/c.wav=1"});
  LabelledFoldersOptions only_yes;
  only_yes.labels = {"yes"};
  CHECK(names_of(list_labelled_folders(folder.text(), Split::train, only_yes)) ==
        std::set<std::string>{"b.wav", "c.wav"});
  only_yes.labels = {"yess"};
  CHECK(message_of<UserError>([&] { list_labelled_folders(folder.text(), Split::train, only_yes); }) ==
        "data.labels: '" + folder.text() + "' has no folder 'yess'. Did you mean 'yes'?");
}

TEST_CASE("labelled folders: without lists a hash of the speaker's name decides, with the shares asked for") {
  const TemporaryFolder folder;
  for (int i = 0; i < 1000; ++i) {
    const std::string speaker = "s" + std::to_string(i) + "_nohash_";
    for (const char* take : {"go/", "stop/"}) {
      fs::create_directories(folder.path() / take);
      std::ofstream(folder / (take + speaker + (take[0] == 'g' ? "0.wav" : "1.wav"))) << "x";
    }
  }
  LabelledFoldersOptions options;
  options.testing_percentage = 20;
  std::map<std::string, std::set<Split>> splits;
  std::map<Split, int> counts;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    for (const std::string& name : names_of(list_labelled_folders(folder.text(), split, options))) {
      splits[name.substr(0, name.find('_'))].insert(split);
      ++counts[split];
    }
  }
  CHECK(splits.size() == 1000);
  for (const auto& [speaker, in] : splits) CHECK(in.size() == 1);
  CHECK(counts[Split::train] + counts[Split::validation] + counts[Split::test] == 2000);
  CHECK(std::abs(counts[Split::test] - 400) < 80);
  CHECK(std::abs(counts[Split::validation] - 200) < 60);
}

TEST_CASE("labelled folders: bad folders and options") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& path, const LabelledFoldersOptions& options = {}) {
    return message_of<UserError>([&] { list_labelled_folders(path, Split::train, options); });
  };
  CHECK(message(folder / "none") == "'" + folder / "none" + "': there is no such folder; check the path");
  CHECK(message(folder.text()) ==
        "'" + folder.text() + "' holds no folder; it should hold one folder of recordings per label");
  fs::create_directories(folder.path() / "yes");
  CHECK(message(folder.text()) ==
        "'" + folder.text() + "': its folders hold no recordings (WAV, FLAC, AIFF or SPHERE)");
  write_noise(folder / "yes/a.wav", 1);
  LabelledFoldersOptions options;
  options.testing_percentage = 100;
  options.validation_percentage = 0;
  CHECK(message(folder.text(), options) ==
        "'" + folder.text() + "' has no clips for the train split; change data.testing and data.validation");
  std::ofstream(folder / "testing_list.txt") << "yes/a.wav\n";
  CHECK(message(folder.text()) ==
        "'" + folder.text() +
            "' has no clips for the train split; check testing_list.txt and validation_list.txt");
  // A list that cannot be read is no missing one, which would make another split.
  fs::create_directories(folder.path() / "validation_list.txt");
  CHECK(message(folder.text()) == folder / "validation_list.txt" + ": is a folder; name a file");
  options.testing_percentage = 101;
  CHECK(message(folder.text(), options) == "data.testing = 101: must be a number from 0 to 100");
  options.testing_percentage = 60;
  options.validation_percentage = 50;
  CHECK(message(folder.text(), options) == "data.validation = 50: must be a number from 0 to 40");
}

TEST_CASE("cmvn: global statistics are those of all frames, and applying them gives mean 0 and variance 1") {
  Dataset dataset;
  dataset.examples = {{"a", 0, 2, 3, {1, 100, 5, 3, 200, 5}}, {"b", 0, 1, 3, {5, 600, 5}}};
  const CmvnStatistics statistics = compute_cmvn(dataset);
  CHECK(statistics.mean == std::vector<float>{3, 300, 5});
  CHECK(statistics.inverse_std[0] == doctest::Approx(1 / std::sqrt(8.0 / 3)));
  CHECK(statistics.inverse_std[1] == doctest::Approx(1 / std::sqrt(140000.0 / 3)));
  CHECK(statistics.inverse_std[2] == 1);
  apply_cmvn(statistics, dataset);
  CHECK(dataset.examples[0].values[0] == doctest::Approx(-2 / std::sqrt(8.0 / 3)));
  CHECK(dataset.examples[1].values[1] == doctest::Approx(300 / std::sqrt(140000.0 / 3)));
  CHECK(dataset.examples[1].values[2] == 0);
  const CmvnStatistics again = compute_cmvn(dataset);
  CHECK(std::abs(again.mean[1]) < 1e-6);
  CHECK(again.inverse_std[1] == doctest::Approx(1));
  CHECK(compute_cmvn(dataset, false, true).mean == std::vector<float>{0, 0, 0});
  CHECK(compute_cmvn(dataset, true, false).inverse_std == std::vector<float>{1, 1, 1});
  // A large mean with a small deviation, which a sum of squares would lose.
  Dataset offset;
  offset.examples = {{"a", 0, 4, 1, {10000.25f, 10000.5f, 10000.25f, 10000.5f}}};
  CHECK(compute_cmvn(offset).inverse_std[0] == doctest::Approx(8).epsilon(1e-6));
  CHECK(message_of<UserError>([] { compute_cmvn({}); }) ==
        "cmvn = global: there is no training example to take statistics from");
  std::vector<float> values(4);
  CHECK(message_of<UserError>([&] { apply_cmvn(statistics, values); }) ==
        "the statistics are of 3 dimensions, which do not fit 4 values; compute them from features with the "
        "same "
        "options");
}

TEST_CASE("notices that agree become one line") {
  CHECK(summarised({"a.wav: mixed 2 channels down to one", "b: c.wav: resampled", "a.wav: resampled",
                    "plain"}) == std::vector<std::string>{"a.wav: mixed 2 channels down to one",
                                                          "2 files: resampled (the first is b: c.wav)",
                                                          "plain"});
}

TEST_CASE("digits: the real recordings split as published") {
  const char* data = std::getenv("LARIAT_DATA");
  if (data == nullptr) return lariat::testing::skip("LARIAT_DATA names no folder with recordings");
  const std::string folder = std::string(data) + "/fsdd";
  check_partition([&](Split split) { return list_digits(folder, split); }, 2700, 0, 300);
  check_partition(
      [&](Split split) {
        return list_digits(folder, split, {{}, usual_validation_indices});
      },
      2400, 300, 300);
  check_partition([&](Split split) { return list_digits(folder, split, {{"theo"}, 0}); }, 2500, 0, 500);
  CHECK(digit_speakers(folder).size() == 6);
  const ClipSet clips = load_clips(list_digits(folder, Split::test));
  CHECK(clips.sample_rate == 8000);
  const Dataset dataset = make_dataset(clips, FeatureExtractor({}, 8000));
  CHECK(dataset.examples.size() == 300);
  CHECK(dataset.skipped.empty());
  CHECK(dataset.notices.empty());
}

TEST_CASE("labelled folders: Speech Commands splits by its own lists") {
  const char* data = std::getenv("LARIAT_DATA");
  if (data == nullptr) return lariat::testing::skip("LARIAT_DATA names no folder with recordings");
  const std::string folder = std::string(data) + "/speech_commands_mini";
  size_t total = 0;
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const ClipList list = list_labelled_folders(folder, split);
    CHECK(list.classes.size() == 30);
    total += list.entries.size();
  }
  CHECK(total == 300);
}

TEST_CASE("positive: one class of several is told from all others") {
  std::vector<std::string> classes{"one", "two", "three"};
  CHECK(data::keep_one_class(classes, "two") == 1);
  CHECK(classes == std::vector<std::string>{"not two", "two"});
  std::vector<std::string> others{"one", "two", "three"};
  CHECK(message_of<UserError>([&] { data::keep_one_class(others, "tow"); }) ==
        "positive = tow: must be one of one, two, three. Did you mean 'two'?");
}

}  // namespace lariat::dataset_test
