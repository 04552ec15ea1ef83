#include "frontends/speech/audio.hpp"

#include <fmt/format.h>
#include <samplerate.h>
#include <sndfile.h>

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>

#include "frontends/speech/audio_chunks.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"

namespace lariat::speech {

namespace {

static_assert(std::endian::native == std::endian::little,
              "write_wav copies integers into a little-endian file");

constexpr float int16_scale = 32768;
constexpr sf_count_t block_frames = 1 << 16;

// An audio file in memory, as libsndfile reads it.
struct Recording {
  std::string bytes;
  size_t at = 0;
  SF_INFO info = {};
  std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> sound{nullptr, sf_close};
};

sf_count_t length_of(void* data) {
  return static_cast<sf_count_t>(static_cast<Recording*>(data)->bytes.size());
}
sf_count_t position_of(void* data) { return static_cast<sf_count_t>(static_cast<Recording*>(data)->at); }
sf_count_t seek(sf_count_t offset, int from, void* data) {
  auto& recording = *static_cast<Recording*>(data);
  const sf_count_t start = from == SEEK_SET ? 0 : from == SEEK_CUR ? position_of(data) : length_of(data);
  recording.at = static_cast<size_t>(std::clamp<sf_count_t>(start + offset, 0, length_of(data)));
  return position_of(data);
}
sf_count_t read(void* to, sf_count_t count, void* data) {
  auto& recording = *static_cast<Recording*>(data);
  count = std::clamp<sf_count_t>(length_of(data) - position_of(data), 0, count);
  std::memcpy(to, recording.bytes.data() + recording.at, static_cast<size_t>(count));
  recording.at += static_cast<size_t>(count);
  return count;
}
sf_count_t write_nothing(const void*, sf_count_t, void*) { return 0; }

std::string bytes_of(const std::string& file) {
  try {
    return InputFile(file).rest();
  } catch (const std::system_error& error) {
    throw UserError(fmt::format("{}: {}", file, reason_of(error, "file", "an audio file in it")));
  }
}

// `file` names it in messages.
std::unique_ptr<Recording> open_audio(std::string bytes, const std::string& file) {
  if (bytes.empty())
    throw UserError(fmt::format("{}: the file is empty; record it again or leave it out", file));
  auto recording = std::make_unique<Recording>();
  recording->bytes = std::move(bytes);
  SF_VIRTUAL_IO access{length_of, seek, read, write_nothing, position_of};
  std::string reason;
  {
    // Why a file does not open the library keeps for the whole process, until the next is opened.
    static std::mutex opening;
    const std::lock_guard lock(opening);
    recording->sound.reset(sf_open_virtual(&access, SFM_READ, &recording->info, recording.get()));
    if (!recording->sound) reason = sf_strerror(nullptr);
  }
  if (!recording->sound) {
    while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
    throw UserError(
        fmt::format("{}: cannot be read as audio ({}); give WAV, FLAC, AIFF or SPHERE", file, reason));
  }
  if (recording->info.samplerate > highest_sample_rate) {
    throw UserError(
        fmt::format("{}: says {} Hz, but audio has at most {} Hz; repair the file or leave it out", file,
                    recording->info.samplerate, highest_sample_rate));
  }
  return recording;
}

// libsndfile quietly shortens a WAV or AIFF file that holds less data than its header promises.
void check_complete(const Recording& recording, const std::string& file) {
  const std::optional<SampleBytes> bytes = sample_bytes(recording.bytes);
  if (bytes && bytes->present < bytes->promised)
    throw UserError(fmt::format("{}: damaged: {} of {} bytes are there; copy it again or leave it out", file,
                                bytes->present, bytes->promised));
}

// How many frames the header promises. A SPHERE header is text that libsndfile does not hold against the
// file's size.
sf_count_t promised_frames(const Recording& recording) {
  if ((recording.info.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_NIST) return recording.info.frames;
  const std::string header = recording.bytes.substr(0, 1024);
  const size_t field = header.find("sample_count -i ");
  sf_count_t count = 0;
  if (field == header.npos || std::sscanf(header.c_str() + field + 16, "%" SCNd64, &count) != 1)
    return recording.info.frames;
  return std::max(count, recording.info.frames);
}

}  // namespace

Audio read_audio(const std::string& file, int sample_rate, std::vector<std::string>* notices) {
  return decode_audio(bytes_of(file), file, sample_rate, notices);
}

Audio decode_audio(std::string bytes, const std::string& file, int sample_rate,
                   std::vector<std::string>* notices) {
  const std::unique_ptr<Recording> recording = open_audio(std::move(bytes), file);
  check_complete(*recording, file);
  const SF_INFO& info = recording->info;
  SNDFILE* const sound = recording->sound.get();
  Audio audio{{}, info.samplerate, file};
  // Block by block, because a damaged header can promise more frames than memory holds.
  std::vector<float> block(static_cast<size_t>(block_frames * info.channels));
  while (const sf_count_t frames = sf_readf_float(sound, block.data(), block_frames)) {
    for (sf_count_t frame = 0; frame < frames; ++frame) {
      double sum = 0;
      for (int channel = 0; channel < info.channels; ++channel) sum += block[frame * info.channels + channel];
      audio.samples.push_back(static_cast<float>(sum / info.channels) * int16_scale);
    }
  }
  const auto count = static_cast<sf_count_t>(audio.samples.size());
  const sf_count_t promised = promised_frames(*recording);
  if (sf_error(sound) != SF_ERR_NO_ERROR || (promised != SF_COUNT_MAX && count < promised)) {
    throw UserError(fmt::format("{}: damaged: {} of {} samples can be read; copy it again or leave it out",
                                file, count, promised));
  }
  if (count == 0) {
    throw UserError(fmt::format("{}: holds no samples; record it again or leave it out", file));
  }
  const auto bad =
      std::find_if_not(audio.samples.begin(), audio.samples.end(), [](float x) { return std::isfinite(x); });
  if (bad != audio.samples.end()) {
    throw UserError(fmt::format("{}: sample {} is {}; repair the file or leave it out", file,
                                bad - audio.samples.begin(), *bad));
  }
  if (info.channels > 1 && notices != nullptr) {
    notices->push_back(fmt::format("{}: mixed {} channels down to one", file, info.channels));
  }
  if (sample_rate != 0 && sample_rate != info.samplerate) {
    const double ratio = static_cast<double>(sample_rate) / info.samplerate;
    if (!src_is_valid_ratio(ratio)) {
      throw UserError(
          fmt::format("{}: cannot be resampled from {} Hz to {} Hz; the rates may differ by a factor of 256",
                      file, info.samplerate, sample_rate));
    }
    audio.samples = resample(audio.samples, ratio);
    audio.sample_rate = sample_rate;
    if (notices != nullptr) {
      notices->push_back(
          fmt::format("{}: resampled from {} Hz to {} Hz", file, info.samplerate, sample_rate));
    }
  }
  return audio;
}

int sample_rate_of(const std::string& file) { return open_audio(bytes_of(file), file)->info.samplerate; }

std::vector<float> resample(const std::vector<float>& samples, double ratio, bool best) {
  const auto count = std::max<size_t>(1, std::llround(static_cast<double>(samples.size()) * ratio));
  std::vector<float> output(count);
  SRC_DATA data = {};
  data.data_in = samples.data();
  data.input_frames = static_cast<long>(samples.size());
  data.data_out = output.data();
  data.output_frames = static_cast<long>(count);
  data.src_ratio = ratio;
  const int status = src_simple(&data, best ? SRC_SINC_BEST_QUALITY : SRC_SINC_FASTEST, 1);
  require(status == 0, fmt::format("libsamplerate: {}", status == 0 ? "" : src_strerror(status)));
  // The converter may stop a sample or so short of the end: what it did not reach stays 0.
  return output;
}

void write_wav(const std::string& file, const Audio& audio) {
  struct Header {
    char riff[4] = {'R', 'I', 'F', 'F'};
    uint32_t riff_bytes = 0;
    char wave_format[8] = {'W', 'A', 'V', 'E', 'f', 'm', 't', ' '};
    uint32_t format_bytes = 16;
    uint16_t pcm = 1, channels = 1;
    uint32_t sample_rate = 0, bytes_per_second = 0;
    uint16_t bytes_per_frame = 2, bits_per_sample = 16;
    char data[4] = {'d', 'a', 't', 'a'};
    uint32_t data_bytes = 0;
  } header;
  static_assert(sizeof(Header) == 44, "the header has no padding");
  header.sample_rate = static_cast<uint32_t>(audio.sample_rate);
  header.bytes_per_second = 2 * header.sample_rate;
  header.data_bytes = static_cast<uint32_t>(2 * audio.samples.size());
  header.riff_bytes = 36 + header.data_bytes;
  std::vector<int16_t> samples(audio.samples.size());
  std::transform(audio.samples.begin(), audio.samples.end(), samples.begin(), [](float sample) {
    return static_cast<int16_t>(std::lrint(std::clamp(sample, -32768.0f, 32767.0f)));
  });
  AtomicFile out(file);
  out.write(&header, sizeof header);
  out.write(samples.data(), header.data_bytes);
  out.commit();
}

}  // namespace lariat::speech
