#include "frontends/speech/demo_corpus.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "frontends/speech/digits.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::demo_corpus_test {

namespace fs = std::filesystem;
using namespace lariat::speech;
using lariat::UserError;
using lariat::data::Split;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;

namespace {

DemoCorpusOptions small() {
  DemoCorpusOptions options;
  options.train_voices = 3;
  options.test_voices = 2;
  options.variations = 2;
  return options;
}

bool espeak_missing() {
  if (fs::exists("/usr/bin/espeak-ng")) return false;
  lariat::testing::skip("espeak-ng is not installed");
  return true;
}

}  // namespace

TEST_CASE("demo corpus: what it promises is there, and test voices are held out") {
  if (espeak_missing()) return;
  const TemporaryFolder folder;
  const std::string out = folder / "corpus";
  size_t calls = 0, last = 0, total = 0;
  const DemoCorpus corpus = generate_demo_corpus(out, small(), [&](size_t done, size_t all) {
    ++calls;
    CHECK(done == last + 1);
    last = done;
    total = all;
  });
  CHECK(corpus.clips == 100);
  CHECK(corpus.generated);
  CHECK(calls == 100);
  CHECK(total == 100);
  CHECK(corpus.train_speakers.size() == 3);
  CHECK(corpus.test_speakers.size() == 2);
  CHECK(std::distance(fs::directory_iterator(out), fs::directory_iterator()) == 101);
  const ClipList official = list_digits(out, Split::test),
                 held_out = list_digits(out, Split::test, {corpus.test_speakers, 0});
  CHECK(official.entries.size() == 40);
  CHECK(list_digits(out, Split::train).entries.size() == 60);
  REQUIRE(held_out.entries.size() == 40);
  for (size_t i = 0; i < 40; ++i) CHECK(official.entries[i].file == held_out.entries[i].file);
  const auto variants = [](const std::vector<std::string>& speakers) {
    std::set<std::string> names;
    for (const std::string& speaker : speakers) names.insert(speaker.substr(0, speaker.find('-')));
    return names;
  };
  for (const std::string& variant : variants(corpus.test_speakers)) {
    CHECK_FALSE(variants(corpus.train_speakers).contains(variant));
  }
  // All clips sound, at 8 kHz, for a plausible time, and no two alike.
  std::set<std::string> contents;
  double all_seconds = 0;
  const ClipSet clips = load_clips(list_digits(out, Split::train));
  CHECK(clips.sample_rate == 8000);
  CHECK(clips.notices.empty());
  CHECK(clips.skipped.empty());
  for (const auto& clip : clips.clips) {
    const double seconds = clip.audio.samples.size() / 8000.0;
    CHECK(seconds > 0.1);
    CHECK(seconds < 1.5);
    all_seconds += seconds;
    // Nowhere does it fall digitally silent.
    for (size_t begin = 0; begin + 40 <= clip.audio.samples.size(); begin += 40) {
      const auto* samples = clip.audio.samples.data() + begin;
      REQUIRE(std::any_of(samples, samples + 40, [](float sample) { return sample != 0; }));
    }
    double energy = 0;
    for (const float sample : clip.audio.samples) energy += double(sample) * sample;
    CHECK(std::sqrt(energy / clip.audio.samples.size()) > 300);
    contents.insert(read_file(clip.audio.source));
  }
  CHECK(contents.size() == 60);
  // The third of a second of silence that espeak-ng ends with is gone.
  CHECK(all_seconds / 60 < 0.6);
}

TEST_CASE(
    "demo corpus: the same options give the same bytes, another seed others, and a complete one is kept") {
  if (espeak_missing()) return;
  const TemporaryFolder folder;
  DemoCorpusOptions options = small();
  options.train_voices = options.test_voices = options.variations = 1;
  const DemoCorpus corpus = generate_demo_corpus(folder / "a", options);
  generate_demo_corpus(folder / "b", options);
  options.seed = 1;
  generate_demo_corpus(folder / "c", options);
  int files = 0, different = 0;
  for (const auto& entry : fs::directory_iterator(folder.path() / "a")) {
    const fs::path name = entry.path().filename();
    ++files;
    CHECK(read_file(entry.path()) == read_file(folder.path() / "b" / name));
    different += read_file(entry.path()) != read_file(folder.path() / "c" / name);
  }
  CHECK(files == 21);
  CHECK(different == 21);
  options.seed = 0;
  const DemoCorpus again = generate_demo_corpus(folder / "a", options);
  CHECK_FALSE(again.generated);
  CHECK(again.train_speakers == corpus.train_speakers);
  CHECK(again.test_speakers == corpus.test_speakers);
  CHECK(again.clips == 20);
}

TEST_CASE("demo corpus: one that was interrupted is made again, any other content of the folder left alone") {
  if (espeak_missing()) return;
  const TemporaryFolder folder;
  DemoCorpusOptions options = small();
  options.train_voices = options.test_voices = options.variations = 1;
  const std::string out = folder / "a";
  CHECK_THROWS_AS(generate_demo_corpus(out, options,
                                       [](size_t done, size_t) {
                                         if (done == 5) throw std::runtime_error("stopped");
                                       }),
                  std::runtime_error);
  CHECK(generate_demo_corpus(out, options).generated);
  CHECK_FALSE(generate_demo_corpus(out, options).generated);
  CHECK(list_digits(out, Split::test).entries.size() == 10);
  options.variations = 2;
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "'" + out +
            "' holds a demonstration corpus made with other options; remove it or choose another place with "
            "--out");
  std::ofstream(folder / "letter.txt") << "dear";
  CHECK(message_of<UserError>([&] { generate_demo_corpus(folder.text(), options); }) ==
        "'" + folder.text() +
            "' holds files that are no demonstration corpus; remove it or choose another place with --out");
  CHECK(message_of<UserError>([&] { generate_demo_corpus(folder / "letter.txt", options); }) ==
        "cannot create '" + folder / "letter.txt" + "': Not a directory; choose another place with --out");
}

TEST_CASE("demo corpus: a missing or failing program, and options out of range") {
  const TemporaryFolder folder;
  const std::string out = folder / "a";
  DemoCorpusOptions options = small();
  options.program = "espeak-ng-that-is-not-there";
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "cannot run 'espeak-ng-that-is-not-there': No such file or directory; install it (apt-get install "
        "espeak-ng) "
        "or train on real recordings");
  CHECK_FALSE(fs::exists(out));
  // A program that knows no voices.
  options.program = "true";
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "'true --voices=variant' lists none of the voices; install espeak-ng 1.51 or newer (apt-get install "
        "espeak-ng)");
  // A program that lists voices and then fails to speak.
  options.program = folder / "fake";
  std::ofstream(options.program) << "#!/bin/sh\n[ $1 = --voices=variant ] && echo ' 5 !v/m1   !v/m2   !v/f1  "
                                    " !v/m4   !v/f4   ' && exit\nexit 7\n";
  fs::permissions(options.program, fs::perms::owner_all);
  CHECK(message_of<lariat::JobError>([&] {
          generate_demo_corpus(out, options);
        }).find(options.program + " ended with status 7 while saying '") == 0);
  options = small();
  options.variations = 0;
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "variations = 0: must be a number from 1 to 1000");
  if (espeak_missing()) return;
  options = small();
  options.test_voices = 85;
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "test_voices = 85: must be a number from 1 to 84");
  options = small();
  options.train_voices = 253;
  CHECK(message_of<UserError>([&] { generate_demo_corpus(out, options); }) ==
        "train_voices = 253: must be a number from 1 to 252");
}

}  // namespace lariat::demo_corpus_test
