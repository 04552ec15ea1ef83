#include "frontends/speech/demo_corpus.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

#include "frontends/data/random.hpp"
#include "frontends/speech/audio.hpp"
#include "frontends/speech/augment.hpp"
#include "frontends/speech/subprocess.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::speech {

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

const Names words = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
const Names accents = {"en-us",  "en-gb",          "en-gb-scotland", "en-gb-x-rp",
                       "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd"};
// Variants that sound like people, men and women mixed; none is in both lists.
const Names train_variants = {
    "m1",      "f1",      "m2",      "f2",       "m3",     "f3",    "m5",    "f5",    "m6",
    "belinda", "m8",      "Andrea",  "klatt",    "Alicia", "david", "aunty", "Alex",  "grandma",
    "edward",  "Denis",   "grandpa", "benjamin", "john",   "Hugo",  "boris", "pablo", "Michael",
    "antonio", "marcelo", "Diogo",   "Henrique", "miguel", "Jacky", "Gene",  "Lee",   "Mike"};
const Names test_variants = {"m4",  "f4",    "m7",   "Annie",  "Andy",  "linda",
                             "max", "steph", "adam", "victor", "Mario", "rob"};

constexpr const char* manifest_name = "demo_corpus.json";
constexpr int first_train_index = 5, most_test_variations = 5;

struct Voice {
  std::string variant, accent;
  bool test = false;
  std::string speaker() const { return variant + "-" + accent; }
};

struct Clip {
  int voice = 0, digit = 0, variation = 0;
};

std::string read_text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Ran run_espeak(const DemoCorpusOptions& options, Names arguments) {
  arguments.insert(arguments.begin(), options.program);
  return run_program(arguments, "install it (apt-get install espeak-ng) or train on real recordings");
}

// Those of `wanted` that this espeak-ng has: it speaks an unknown variant with its plain voice, without a
// word.
Names available(const Names& wanted, const std::string& voice_list) {
  Names found;
  for (const std::string& variant : wanted) {
    if (voice_list.find("!v/" + variant + " ") != voice_list.npos) found.push_back(variant);
  }
  return found;
}

void check_range(const char* name, double value, double lowest, double highest) {
  if (value >= lowest && value <= highest) return;
  throw UserError(fmt::format("{} = {}: must be a number from {} to {}", name, value, lowest, highest));
}

// Voice i takes variant i; once all variants have spoken, they speak again with the next accent.
void add_voices(std::vector<Voice>& voices, const Names& variants, int count, bool test) {
  const int variant_count = static_cast<int>(variants.size());
  check_range(test ? "test_voices" : "train_voices", count, 1,
              static_cast<double>(variants.size() * accents.size()));
  for (int i = 0; i < count; ++i) {
    const int accent = (i % variant_count + i / variant_count) % static_cast<int>(accents.size());
    voices.push_back(
        {variants[static_cast<size_t>(i % variant_count)], accents[static_cast<size_t>(accent)], test});
  }
}

// espeak-ng ends with a third of a second of zeros: keeps 20 ms around what is louder than -60 dB of full
// scale.
void trim_ends(Audio& audio) {
  const auto loud = [](float sample) { return std::abs(sample) > 32; };
  const auto first = std::find_if(audio.samples.begin(), audio.samples.end(), loud);
  const auto behind = std::find_if(audio.samples.rbegin(), audio.samples.rend(), loud).base();
  if (first == audio.samples.end()) return;
  const int64_t margin = audio.sample_rate / 50;
  const auto begin = first - std::min<int64_t>(margin, first - audio.samples.begin());
  const auto end = behind + std::min<int64_t>(margin, audio.samples.end() - behind);
  audio.samples = std::vector<float>(begin, end);
}

void make_clip(const fs::path& folder, const Voice& voice, const Clip& clip,
               const DemoCorpusOptions& options) {
  const int index = clip.variation + (voice.test ? 0 : first_train_index);
  const std::string name = fmt::format("{}_{}_{}.wav", clip.digit, voice.speaker(), index);
  data::RandomStream random(options.seed, data::RandomPurpose::voice, static_cast<uint32_t>(clip.voice),
                            static_cast<uint32_t>(clip.variation * 10 + clip.digit));
  const int pitch = 30 + static_cast<int>(random.below(41)), speed = 120 + static_cast<int>(random.below(81));
  const std::string& word = words[static_cast<size_t>(clip.digit)];
  const std::string accented = voice.accent + "+" + voice.variant;
  const Names arguments = {
      "-v", accented, "-p", fmt::format("{}", pitch), "-s", fmt::format("{}", speed), "--stdout", word};
  Ran spoken = run_espeak(options, arguments);
  if (spoken.status != 0) {
    throw JobError(
        fmt::format("{} ended with status {} while saying '{}' as {}; check that it works on its own",
                    options.program, spoken.status, word, accented));
  }
  Audio audio = decode_audio(std::move(spoken.output), name, options.sample_rate);
  trim_ends(audio);
  add_noise(audio, options.noise_snr, random);
  write_wav((folder / name).string(), audio);
}

std::string describe(const DemoCorpusOptions& options, const std::vector<Voice>& voices, bool complete) {
  Json json = {{"format", "lariat demonstration corpus"}, {"complete", complete},
               {"variations", options.variations},        {"sample_rate", options.sample_rate},
               {"noise_snr", options.noise_snr},          {"seed", options.seed}};
  for (const Voice& voice : voices)
    json[voice.test ? "test_speakers" : "train_speakers"].push_back(voice.speaker());
  return json.dump(1) + "\n";
}

void write_manifest(const fs::path& folder, const std::string& text) {
  AtomicFile out((folder / manifest_name).string());
  out.write(text);
  out.commit();
}

// True where the folder holds this corpus, complete; throws where it holds anything that is not part of it.
bool holds_corpus(const fs::path& folder, const std::string& complete, const std::string& incomplete) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) {
    throw UserError(fmt::format("cannot create '{}': {}; choose another place with --out", folder.string(),
                                failure.message()));
  }
  const std::string present = read_text(folder / manifest_name);
  if (present == complete) return true;
  if (present == incomplete || fs::is_empty(folder)) return false;
  throw UserError(fmt::format("'{}' holds {}; remove it or choose another place with --out", folder.string(),
                              present.empty() ? "files that are no demonstration corpus"
                                              : "a demonstration corpus made with other options"));
}

}  // namespace

DemoCorpus generate_demo_corpus(const std::string& folder, const DemoCorpusOptions& options,
                                const std::function<void(size_t done, size_t total)>& progress) {
  check_range("variations", options.variations, 1, 1000);
  check_range("sample_rate", options.sample_rate, 4000, 48000);
  check_range("noise_snr", options.noise_snr, 0, 100);
  const std::string voice_list = run_espeak(options, {"--voices=variant"}).output;
  const Names for_training = available(train_variants, voice_list),
              for_test = available(test_variants, voice_list);
  if (for_training.empty() || for_test.empty()) {
    throw UserError(
        fmt::format("'{} --voices=variant' lists none of the voices; install espeak-ng 1.51 or newer "
                    "(apt-get install espeak-ng)",
                    options.program));
  }
  std::vector<Voice> voices;
  add_voices(voices, for_training, options.train_voices, false);
  add_voices(voices, for_test, options.test_voices, true);

  DemoCorpus corpus;
  std::vector<Clip> clips;
  for (size_t voice = 0; voice < voices.size(); ++voice) {
    (voices[voice].test ? corpus.test_speakers : corpus.train_speakers).push_back(voices[voice].speaker());
    const int variations =
        voices[voice].test ? std::min(options.variations, most_test_variations) : options.variations;
    for (int i = 0; i < variations * 10; ++i) clips.push_back({static_cast<int>(voice), i % 10, i / 10});
  }
  corpus.clips = clips.size();
  // The manifest says "complete" only at the end, so that an interrupted corpus is made again.
  const std::string complete = describe(options, voices, true), incomplete = describe(options, voices, false);
  corpus.generated = !holds_corpus(folder, complete, incomplete);
  if (!corpus.generated) return corpus;
  write_manifest(folder, incomplete);
  std::mutex mutex;
  size_t done = 0;
  tbb::parallel_for(size_t{0}, clips.size(), [&](size_t i) {
    make_clip(folder, voices[static_cast<size_t>(clips[i].voice)], clips[i], options);
    const std::lock_guard lock(mutex);
    ++done;
    if (progress) progress(done, clips.size());
  });
  write_manifest(folder, complete);
  return corpus;
}

}  // namespace lariat::speech
