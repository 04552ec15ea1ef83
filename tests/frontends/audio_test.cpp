#include "frontends/speech/audio.hpp"

#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <numbers>
#include <set>
#include <thread>

#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::audio_test {

namespace fs = std::filesystem;
using namespace lariat::speech;
using lariat::UserError;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

// Writes interleaved samples in [-1, 1] through libsndfile.
void write_sound(const std::string& file, int format, int channels, int rate,
                 const std::vector<float>& samples) {
  SF_INFO info = {};
  info.format = format;
  info.channels = channels;
  info.samplerate = rate;
  SNDFILE* sound = sf_open(file.c_str(), SFM_WRITE, &info);
  REQUIRE(sound != nullptr);
  sf_write_float(sound, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(sound);
}

std::vector<float> sine(double hertz, int rate, size_t count, double amplitude = 0.5) {
  std::vector<float> samples(count);
  for (size_t t = 0; t < count; ++t)
    samples[t] = float(amplitude * std::sin(2 * std::numbers::pi * hertz * t / rate));
  return samples;
}

}  // namespace

TEST_CASE("audio: WAV, FLAC, AIFF and SPHERE give the same int16-scaled samples") {
  const TemporaryFolder folder;
  std::vector<float> samples = sine(440, 8000, 1000);
  for (float& sample : samples) sample = std::round(sample * 32768) / 32768;
  const std::pair<const char*, int> formats[] = {{"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
                                                 {"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
                                                 {"a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16},
                                                 {"a.sph", SF_FORMAT_NIST | SF_FORMAT_PCM_16},
                                                 {"f.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT}};
  for (const auto& [name, format] : formats) {
    INFO(name);
    const std::string file = folder / (name);
    write_sound(file, format, 1, 8000, samples);
    std::vector<std::string> notices;
    const Audio audio = read_audio(file, 8000, &notices);
    CHECK(notices.empty());
    CHECK(audio.sample_rate == 8000);
    CHECK(sample_rate_of(file) == 8000);
    CHECK(audio.source == file);
    REQUIRE(audio.samples.size() == samples.size());
    for (size_t t = 0; t < samples.size(); ++t) REQUIRE(audio.samples[t] == samples[t] * 32768);
  }
}

TEST_CASE("audio: what write_wav writes reads back, rounded and clipped") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.wav";
  write_wav(file, {{0, 1, -1, 0.6f, 1000.4f, 40000, -40000}, 16000});
  const Audio audio = read_audio(file);
  CHECK(audio.sample_rate == 16000);
  CHECK(audio.samples == std::vector<float>{0, 1, -1, 1, 1000, 32767, -32768});
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("audio: stereo is mixed down and another rate resampled, with a notice for each") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.wav";
  const std::vector<float> left = sine(440, 16000, 8000);
  std::vector<float> stereo;
  for (const float sample : left) stereo.insert(stereo.end(), {sample, 0.25f});
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 2, 16000, stereo);
  std::vector<std::string> notices;
  Audio audio = read_audio(file, 0, &notices);
  REQUIRE(audio.samples.size() == 8000);
  for (size_t t = 0; t < left.size(); ++t) {
    REQUIRE(audio.samples[t] == doctest::Approx((left[t] + 0.25) / 2 * 32768).epsilon(1e-5));
  }
  CHECK(notices == std::vector<std::string>{file + ": mixed 2 channels down to one"});

  notices.clear();
  audio = read_audio(file, 8000, &notices);
  CHECK(notices == std::vector<std::string>{file + ": mixed 2 channels down to one",
                                            file + ": resampled from 16000 Hz to 8000 Hz"});
  CHECK(audio.sample_rate == 8000);
  REQUIRE(audio.samples.size() == 4000);
  // Away from the ends the resampled sine is the sine sampled at the new rate.
  const std::vector<float> wanted = sine(440, 8000, 4000);
  for (size_t t = 500; t < 3500; ++t)
    REQUIRE(std::abs(audio.samples[t] - (wanted[t] + 0.25f) / 2 * 32768) < 3);
  CHECK(read_audio(file, 8000).samples == audio.samples);
}

TEST_CASE(
    "audio: resampling keeps the length's ratio and removes what lies above the new Nyquist frequency") {
  const std::vector<float> high = sine(3900, 16000, 16000);
  CHECK(resample(high, 0.5).size() == 8000);
  CHECK(resample(high, 1 / 1.1, false).size() == 14545);
  CHECK(resample({1.0f}, 0.01).size() == 1);
  const std::vector<float> gone = resample(sine(6000, 16000, 16000), 0.5);
  CHECK(std::abs(*std::max_element(gone.begin() + 500, gone.end() - 500)) < 1e-3);
  const std::vector<float> kept = resample(sine(1000, 16000, 16000), 0.5);
  CHECK(*std::max_element(kept.begin() + 500, kept.end() - 500) == doctest::Approx(0.5).epsilon(1e-3));
}

TEST_CASE("audio: every kind of bad file has its message") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& file) {
    return message_of<UserError>([&] { read_audio(file); });
  };
  std::string file = folder / "none.wav";
  CHECK(message(file) == file + ": there is no such file; check the path");
  CHECK(message(folder.text()) == folder.text() + ": is a folder; name an audio file in it");
  file = folder / "empty.wav";
  write_file(file, "");
  CHECK(message(file) == file + ": the file is empty; record it again or leave it out");
  file = folder / "text.wav";
  write_file(file, "this is no audio, whatever its name says");
  CHECK(message(file) ==
        file + ": cannot be read as audio (Format not recognised); give WAV, FLAC, AIFF or SPHERE");
  file = folder / "silent.wav";
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 8000, {});
  CHECK(message(file) == file + ": holds no samples; record it again or leave it out");
  file = folder / "nan.wav";
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1, 8000,
              {0, 0.5f, std::numeric_limits<float>::quiet_NaN(), 0});
  CHECK(message(file) == file + ": sample 2 is nan; repair the file or leave it out");
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1, 8000, {0, -std::numeric_limits<float>::infinity()});
  CHECK(message(file) == file + ": sample 1 is -inf; repair the file or leave it out");
  file = folder / "fast.wav";
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 768001, {0, 0});
  CHECK(message(file) ==
        file + ": says 768001 Hz, but audio has at most 768000 Hz; repair the file or leave it out");
  file = folder / "rate.wav";
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 8000, {0, 0});
  CHECK(message_of<UserError>([&] { read_audio(file, 8000 * 300); }) ==
        file + ": cannot be resampled from 8000 Hz to 2400000 Hz; the rates may differ by a factor of 256");
  CHECK(message_of<UserError>([&] { sample_rate_of(folder / "none.wav"); }) ==
        folder / "none.wav" + ": there is no such file; check the path");
}

TEST_CASE("audio: a bad file has its message whatever other threads read meanwhile") {
  const TemporaryFolder folder;
  const std::string good = folder / "good.wav", bad = folder / "bad.wav";
  write_sound(good, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 8000, {0, 0.5f});
  write_file(bad, "this is no audio, whatever its name says");
  std::atomic<bool> over = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!over) read_audio(good);
    });
  std::set<std::string> messages;
  for (int i = 0; i < 3000; ++i) messages.insert(message_of<UserError>([&] { read_audio(bad); }));
  over = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(messages ==
        std::set<std::string>{
            bad + ": cannot be read as audio (Format not recognised); give WAV, FLAC, AIFF or SPHERE"});
}

TEST_CASE("audio: a file that was cut short is damaged, not shorter") {
  const TemporaryFolder folder;
  const std::vector<float> samples = sine(440, 8000, 20000);
  std::string file = folder / "a.wav";
  write_sound(file, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 8000, samples);
  std::string bytes = read_file(file);
  write_file(file, bytes.substr(0, 20044));
  CHECK(message_of<UserError>([&] { read_audio(file); }) ==
        file + ": damaged: 20000 of 40000 bytes are there; copy it again or leave it out");
  // What a program writes that does not know the length yet is no damage.
  std::memcpy(bytes.data() + 40, "\xff\xff\xff\xff", 4);
  write_file(file, bytes);
  CHECK(read_audio(file).samples.size() == 20000);

  file = folder / "a.flac";
  write_sound(file, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1, 8000, samples);
  bytes = read_file(file);
  write_file(file, bytes.substr(0, bytes.size() / 2));
  const std::string message = message_of<UserError>([&] { read_audio(file); });
  CHECK(message.find(file + ": damaged: ") == 0);
  CHECK(message.find(" of 20000 samples can be read; copy it again or leave it out") != std::string::npos);

  file = folder / "a.aiff";
  write_sound(file, SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1, 8000, samples);
  write_file(file, read_file(file).substr(0, 20000));
  CHECK(message_of<UserError>([&] { read_audio(file); }) ==
        file + ": damaged: 19954 of 40008 bytes are there; copy it again or leave it out");
  file = folder / "a.sph";
  write_sound(file, SF_FORMAT_NIST | SF_FORMAT_PCM_16, 1, 8000, samples);
  write_file(file, read_file(file).substr(0, 20000));
  CHECK(message_of<UserError>([&] { read_audio(file); }) ==
        file + ": damaged: 9488 of 20000 samples can be read; copy it again or leave it out");
}

namespace {

std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string chunk(const std::string& name, const std::string& body) {
  return name + little(body.size(), 4) + body + std::string(body.size() % 2, '\0');
}

std::string group(const std::string& name, const std::string& chunks) {
  return name + little(4 + chunks.size(), 4) + "WAVE" + chunks;
}

}  // namespace

TEST_CASE("audio: whether a WAV is whole is read from its chunks, wherever and however many they are") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.wav", samples(8000, '\7');
  const std::string plain = chunk("fmt ", little(1, 2) + little(1, 2) + little(8000, 4) + little(16000, 4) +
                                              little(2, 2) + little(16, 2));
  // An extensible format names PCM by a GUID.
  const std::string extensible =
      chunk("fmt ", little(0xfffe, 2) + little(1, 2) + little(8000, 4) + little(16000, 4) + little(2, 2) +
                        little(16, 2) + little(22, 2) + little(16, 2) + little(4, 4) + little(1, 2) +
                        std::string("\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 14));
  std::string comments = "INFO", many;
  for (int i = 0; i < 60; ++i) comments += chunk("ICMT", std::string(113 + i % 2, 'c'));
  for (int i = 0; i < 99; ++i) many += chunk("xx" + std::to_string(10 + i % 90), std::string(15, 'x'));
  const std::string misleading = chunk("LIST", "INFO" + chunk("ICMT", "data : 9999 (should be 100)"));
  const auto refusal = [&](const std::string& bytes) -> std::string {
    write_file(file, bytes);
    try {
      const size_t count = read_audio(file).samples.size();
      CHECK(count == 4000);
      return "";
    } catch (const UserError& error) {
      return error.what();
    }
  };
  const auto damaged = [&](size_t present) {
    return file + ": damaged: " + std::to_string(present) +
           " of 8000 bytes are there; copy it again or leave it out";
  };
  for (const std::string& format : {plain, extensible})
    for (const std::string& before : {std::string(), chunk("LIST", comments), many, misleading}) {
      const std::string whole = group("RIFF", format + before + chunk("data", samples));
      CHECK(refusal(whole) == "");
      CHECK(refusal(whole + chunk("LIST", comments)) == "");
      CHECK(refusal(whole.substr(0, whole.size() - 4000)) == damaged(4000));
      CHECK(refusal(whole.substr(0, whole.size() - 1)) == damaged(7999));
    }
  // The same with lengths of 64 bits.
  const std::string lengths =
                        chunk("ds64", little(9000, 8) + little(8000, 8) + little(4000, 8) + little(0, 4)),
                    data = "data" + little(0xffffffff, 4) + samples;
  const std::string wide = "RF64" + little(0xffffffff, 4) + "WAVE" + lengths + plain + data;
  CHECK(refusal(wide) == "");
  CHECK(refusal(wide.substr(0, wide.size() - 4000)) == damaged(4000));
  // A program that writes to a pipe cannot know the length.
  for (const uint64_t unknown : {0x7ffff000u, 0xffffffffu})
    CHECK(refusal("RIFF" + little(unknown, 4) + "WAVE" + plain + "data" + little(unknown, 4) + samples) ==
          "");
  // Cut within its comments: there are no samples at all.
  const std::string whole = group("RIFF", plain + chunk("LIST", comments) + chunk("data", samples));
  CHECK(refusal(whole.substr(0, 1000)).starts_with(file + ": "));
}

TEST_CASE("audio: a pipe is read as a file is") {
  const TemporaryFolder folder;
  Audio tone{std::vector<float>(4000, 100.0f), 8000};
  write_wav(folder / "a.wav", tone);
  const std::string whole = read_file(folder / "a.wav"), pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { write_file(pipe, whole); });
  CHECK(read_audio(pipe).samples == tone.samples);
  writer.join();
}

}  // namespace lariat::audio_test
