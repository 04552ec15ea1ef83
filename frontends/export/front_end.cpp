#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "frontends/export/c_model.hpp"
#include "frontends/recipe/corpus.hpp"
#include "frontends/speech/analysis/deltas.hpp"
#include "frontends/speech/analysis/frame_tables.hpp"
#include "graph/base/error.hpp"

namespace lariat::to_c {

namespace {

using speech::Cmvn;
using speech::FeatureKind;
using speech::FeatureOptions;

// Features that C does not compute.
void check_features(const FeatureOptions& options, bool streaming) {
  const auto refuse = [&](const char* name, const std::string& instead) {
    throw UserError(fmt::format("features.{} = {}: must be {} in C; train with features that are", name,
                                speech::feature_option_table().at(name).get(options), instead));
  };
  if (options.kind == FeatureKind::melspectrogram) refuse("kind", "one of fbank, mfcc, spectrogram");
  if (!options.snip_edges) refuse("snip_edges", "true");
  if (options.trim_silence) refuse("trim_silence", "false");
  if (options.dither > 0) refuse("dither", "0");
  if (options.band_low > 0) refuse("band_low", "0");
  if (options.band_high > 0) refuse("band_high", "0");
  if (options.cmvn == Cmvn::voiced) refuse("cmvn", "none, utterance or global");
  if (options.cmvn == Cmvn::utterance && streaming)
    throw UserError(
        "features.cmvn = utterance: needs the whole recording, which a stream never has; export it with "
        "--frames N "
        "instead of --streaming, or train with cmvn = global");
}

std::vector<float> as_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// Writes the functions of one front end.
class FrontEndWriter {
 public:
  FrontEndWriter(CUnit& unit, const CSetting& setting, CMemory& memory)
      : unit_(unit),
        setting_(setting),
        memory_(memory),
        front_end_(*setting.front_end),
        options_(front_end_.extractor.options()),
        frame_(speech::frame_samples(options_)),
        shift_(speech::shift_samples(options_)),
        fft_(speech::fft_samples(options_)),
        dimensions_(front_end_.extractor.dimensions() / (1 + options_.delta_order)),
        tables_(speech::frame_tables(options_)) {
    check_features(options_, setting.streaming);
    held_ = memory.keep(frame_);
    memory.workspace.cover({.floats = 2 * fft_ + static_cast<int64_t>(tables_.filters.size())});
    memory.counters.emplace_back("held", "samples that are kept");
    if (shift_ > frame_) memory.counters.emplace_back("skip", "samples to leave out");
    if (!setting.streaming) memory.counters.emplace_back("frames", "frames that have come");
    if (options_.delta_order > 0) memory.counters.emplace_back("rows", "rows before differences");
  }

  CModel write() {
    CModel model;
    write_transform();
    write_take();
    write_analysis();
    write_calls(model);
    model.functions = std::move(functions_);
    return model;
  }

 private:
  std::string name() const { return setting_.name; }
  std::string table(const std::vector<double>& values) {
    return unit_.constant(std::span<const float>(as_floats(values)));
  }

  // Stockham's transform of half the size, as frontends/speech/analysis/fft.cpp computes it.
  void write_transform() {
    const int half = fft_ / 2;
    std::vector<uint16_t> radices;
    int left = half;
    for (int radix = 2; left > 1; radix += radix == 2 ? 1 : 2)
      for (; left % radix == 0; left /= radix) radices.push_back(static_cast<uint16_t>(radix));
    const bool any = !radices.empty() && radices.back() != 2;
    std::vector<double> roots;
    // Of powers of two the second half is never read.
    for (int k = 0; k < (any ? fft_ : half + 2); ++k) {
      roots.push_back(std::cos(-2 * std::numbers::pi * k / fft_));
      roots.push_back(std::sin(-2 * std::numbers::pi * k / fft_));
    }
    roots_ = table(roots);
    const bool two = !radices.empty() && radices.front() == 2;
    if (two)
      functions_ += fmt::format(R"(/* one pass of Stockham's transform over complex numbers, radix 2 */
static void pass_2(const float *x, float *y, int32_t count, int32_t stride) {{
  int32_t p, q;
  for (p = 0; p < count; ++p) {{
    const float wr = {0}[4 * p * stride], wi = {0}[4 * p * stride + 1];
    const float *a = x + 2 * stride * p, *b = x + 2 * stride * (p + count);
    float *sum = y + 4 * stride * p, *difference = sum + 2 * stride;
    for (q = 0; q < 2 * stride; q += 2) {{
      const float re = a[q] - b[q], im = a[q + 1] - b[q + 1];
      sum[q] = a[q] + b[q];
      sum[q + 1] = a[q + 1] + b[q + 1];
      difference[q] = re * wr - im * wi;
      difference[q + 1] = re * wi + im * wr;
    }}
  }}
}}

)",
                                roots_);
    if (any)
      functions_ += fmt::format(R"(/* the same of any radix */
static void pass_any(const float *x, float *y, int32_t radix, int32_t count, int32_t stride) {{
  int32_t p, k, q, j;
  for (p = 0; p < count; ++p)
    for (k = 0; k < radix; ++k)
      for (q = 0; q < stride; ++q) {{
        float re = 0.0F, im = 0.0F;
        int32_t power = k * p;
        for (j = 0; j < radix; ++j) {{
          const float *in = x + 2 * (q + stride * (p + j * count));
          const float wr = {0}[4 * power * stride], wi = {0}[4 * power * stride + 1];
          re += in[0] * wr - in[1] * wi;
          im += in[0] * wi + in[1] * wr;
          power += k * count;
          if (power >= radix * count) power -= radix * count;
        }}
        y[2 * (q + stride * (radix * p + k))] = re;
        y[2 * (q + stride * (radix * p + k)) + 1] = im;
      }}
}}

)",
                                roots_);
    const std::string pass = !any ? "    pass_2(x, y, count, stride);\n"
                             : two
                                 ? "    if (radix == 2)\n      pass_2(x, y, count, stride);\n    else\n      "
                                   "pass_any(x, y, radix, count, stride);\n"
                                 : "    pass_any(x, y, radix, count, stride);\n";
    const std::string radix_of =
        any ? fmt::format("{}[i]", unit_.constant(std::span<const uint16_t>(radices))) : "2";
    functions_ += fmt::format(
        R"(/* the power spectrum of {0} samples at x, {1} bins; y is as large as x. Returns where it lies */
static float *power_spectrum(float *x, float *y) {{
  int32_t i, k, stride = 1;
  for (i = 0; i < {2}; ++i) {{
    const int32_t radix = {3}, count = {4} / (stride * radix);
    float *made = y;
{5}    y = x;
    x = made;
    stride *= radix;
  }}
  /* even samples are real parts, odd ones imaginary parts */
  for (k = 0; k <= {6}; ++k) {{
    const float *left = x + 2 * k, *right = x + 2 * (k == 0 ? 0 : {4} - k);
    const float er = left[0] + right[0], ei = left[1] - right[1];
    const float dr = right[0] - left[0], di = -right[1] - left[1];
    const float wr = {7}[2 * k], wi = {7}[2 * k + 1];
    const float re = -di * wr - dr * wi, im = -di * wi + dr * wr;
    y[k] = ((er + re) * (er + re) + (ei + im) * (ei + im)) * 0.25F;
    y[{4} - k] = ((er - re) * (er - re) + (ei - im) * (ei - im)) * 0.25F;
  }}
  return y;
}}

)",
        fft_, half + 1, radices.size(), radix_of, half, pass, half / 2, roots_);
  }

  // What a row of features goes through: normalised, then the model's.
  void write_take() {
    std::string body;
    if (front_end_.statistics) {
      body += fmt::format("  for (i = 0; i < {}; ++i) row[i] = (row[i] - {}[i]) * {}[i];\n", setting_.width,
                          unit_.constant(std::span<const float>(front_end_.statistics->mean)),
                          unit_.constant(std::span<const float>(front_end_.statistics->inverse_std)));
    }
    if (setting_.streaming) {
      body += "  return step_frames(memory, row);\n";
    } else {
      body += fmt::format(
          "  if (memory->frames >= {}) return -1;\n  {}(memory->kept + {} * memory->frames, row, {});\n"
          "  ++memory->frames;\n  return 0;\n",
          setting_.frames, unit_.helper("copy"), setting_.width, setting_.width);
    }
    functions_ += fmt::format(
        "/* one frame of the features that the model takes */\n"
        "static int32_t take_frame({}_memory *memory, float *row) {{\n{}{}}}\n\n",
        name(), front_end_.statistics ? "  int32_t i;\n" : "", body);
    if (options_.delta_order == 0) {
      row_ = memory_.keep(dimensions_);
      return;
    }
    write_differences();
  }

  // Rows wait until those that their differences look at are there; at both ends the last one is repeated.
  void write_differences() {
    const speech::Deltas deltas(options_.delta_order, options_.delta_window, dimensions_);
    const int64_t context = deltas.context(), rows = 2 * context + 1, width = deltas.dimensions();
    std::vector<double> filters;
    for (const std::vector<double>& filter : deltas.filters()) {
      std::vector<double> wide(static_cast<size_t>(rows));
      const size_t first = (wide.size() - filter.size()) / 2;
      std::copy(filter.begin(), filter.end(), wide.begin() + static_cast<int64_t>(first));
      filters.insert(filters.end(), wide.begin(), wide.end());
    }
    rows_ = memory_.keep(rows * dimensions_);
    row_ = memory_.keep(dimensions_);
    const std::string wide = memory_.keep(width);
    functions_ += fmt::format(
        R"(/* a row before its differences */
static int32_t take_row({0}_memory *memory, const float *row) {{
  float *rows = {1}, *out = {2};
  int32_t i, k, order;
  for (k = memory->rows == 0 ? {3} : 1; k > 0; --k) {4}(rows, {3}, {5}, row);
  if (++memory->rows <= {6}) return 0;
  for (order = 0; order < {7}; ++order)
    for (i = 0; i < {5}; ++i) {{
      float sum = 0.0F;
      for (k = 0; k < {3}; ++k) sum += {8}[order * {3} + k] * rows[k * {5} + i];
      out[order * {5} + i] = sum;
    }}
  return take_frame(memory, out);
}}

)",
        name(), rows_, wide, rows, unit_.helper("push_frame"), dimensions_, context, options_.delta_order + 1,
        table(filters));
    context_ = context;
  }

  void write_analysis() {
    const bool kaldi_energy = options_.use_energy || options_.kind == FeatureKind::spectrogram;
    std::string body;
    body += fmt::format(
        "  const float *held = {};\n  float *frame = memory->values, *row = {};\n  float *power;\n"
        "  int32_t i;\n",
        held_, row_);
    std::string text;
    text += fmt::format("  {}(frame, held, {});\n", unit_.helper("copy"), frame_);
    if (options_.remove_dc_offset) {
      body += "  float mean = 0.0F;\n";
      text += fmt::format(
          "  for (i = 0; i < {0}; ++i) mean += frame[i];\n  mean /= {0}.0F;\n"
          "  for (i = 0; i < {0}; ++i) frame[i] -= mean;\n",
          frame_);
    }
    const std::string energy =
        fmt::format("  for (i = 0; i < {}; ++i) energy += frame[i] * frame[i];\n", frame_);
    if (kaldi_energy) body += "  float energy = 0.0F;\n";
    if (kaldi_energy && options_.raw_energy) text += energy;
    if (options_.preemphasis_coefficient != 0) {
      const std::string c = literal(static_cast<float>(options_.preemphasis_coefficient));
      text += fmt::format(
          "  for (i = {}; i > 0; --i) frame[i] -= {} * frame[i - 1];\n  frame[0] -= {} * frame[0];\n",
          frame_ - 1, c, c);
    }
    text += fmt::format("  for (i = 0; i < {}; ++i) frame[i] *= {}[i];\n", frame_, table(tables_.window));
    if (kaldi_energy && !options_.raw_energy) text += energy;
    if (fft_ > frame_)
      text += fmt::format("  {}(frame + {}, {});\n", unit_.helper("clear"), frame_, fft_ - frame_);
    text += fmt::format("  power = power_spectrum(frame, frame + {});\n", fft_);
    if (kaldi_energy) {
      text += "  energy = floored_log(energy);\n";
      if (options_.energy_floor > 0)
        text += fmt::format("  if (energy < {0}) energy = {0};\n",
                            literal(static_cast<float>(std::log(options_.energy_floor))));
    }
    text += rows();
    text += options_.delta_order > 0 ? "  return take_row(memory, row);\n"
                                     : "  return take_frame(memory, row);\n";
    const bool logs = options_.use_log_fbank || options_.kind == FeatureKind::spectrogram || kaldi_energy;
    if (logs)
      functions_ += fmt::format(
          "/* with the machine epsilon of float as the floor */\n"
          "static float floored_log(float x) {{\n  return {}(x < 1.19209290e-7F ? "
          "1.19209290e-7F : x);\n}}\n\n",
          unit_.helper("logarithm"));
    functions_ += fmt::format(
        "/* the features of the samples that are held */\n"
        "static int32_t analyse({}_memory *memory) {{\n{}{}}}\n\n",
        name(), body, text);
  }

  std::string rows() {
    const int bins = fft_ / 2 + 1;
    if (options_.kind == FeatureKind::spectrogram)
      return fmt::format("  for (i = 1; i < {}; ++i) row[i] = floored_log(power[i]);\n  row[0] = energy;\n",
                         bins);
    std::string text;
    if (!options_.use_power)
      text += fmt::format("  for (i = 0; i < {}; ++i) power[i] = sqrtf(power[i]);\n", bins);
    std::vector<double> weights;
    std::vector<uint16_t> first, counts;
    for (const speech::MelFilter& filter : tables_.filters) {
      first.push_back(static_cast<uint16_t>(filter.first_bin));
      counts.push_back(static_cast<uint16_t>(filter.weights.size()));
      weights.insert(weights.end(), filter.weights.begin(), filter.weights.end());
    }
    const bool mfcc = options_.kind == FeatureKind::mfcc;
    const bool in_front = options_.use_energy && !options_.htk_compat && !mfcc;
    const std::string energies = mfcc       ? fmt::format("memory->values + {}", 2 * fft_)
                                 : in_front ? "row + 1"
                                            : "row";
    text +=
        fmt::format(R"(  {{
    const float *weight = {0};
    float *energies = {1};
    for (i = 0; i < {2}; ++i) {{
      const float *bin = power + {3}[i];
      float sum = 0.0F;
      uint16_t left;
      for (left = {4}[i]; left > 0; --left) sum += *weight++ * *bin++;
      energies[i] = {5};
    }}
)",
                    table(weights), energies, first.size(), unit_.constant(std::span<const uint16_t>(first)),
                    unit_.constant(std::span<const uint16_t>(counts)),
                    options_.use_log_fbank ? "floored_log(sum)" : "sum");
    if (mfcc) {
      text += fmt::format("    {0}(row, {1});\n    {2}(energies, {3}, row, {1}, {4});\n",
                          unit_.helper("clear"), options_.num_ceps, unit_.helper("dense_product"),
                          table(tables_.cosines), options_.num_mel_bins);
      if (options_.use_energy) text += "    row[0] = energy;\n";
      if (options_.htk_compat) {
        const std::string scale = options_.use_energy ? "row[0]" : "row[0] * 1.41421356F";
        text += fmt::format(
            "    energies[0] = {};\n    for (i = 1; i < {}; ++i) row[i - 1] = row[i];\n"
            "    row[{}] = energies[0];\n",
            scale, options_.num_ceps, options_.num_ceps - 1);
      }
    } else if (options_.use_energy) {
      text += fmt::format("    row[{}] = energy;\n", in_front ? 0 : dimensions_ - 1);
    }
    return text + "  }\n";
  }

  void write_calls(CModel& model) {
    const auto function = [&](const std::string& head, const std::string& body) {
      functions_ += head + " {\n" + body + "}\n\n";
      model.declarations += head + ";\n";
    };
    std::string start = "  memory->held = 0;\n";
    if (shift_ > frame_) start += "  memory->skip = 0;\n";
    if (options_.delta_order > 0) start += "  memory->rows = 0;\n";
    start += setting_.streaming ? "  start_frames(memory);\n" : "  memory->frames = 0;\n";
    function(fmt::format("void {0}_start({0}_memory *memory)", name()), start);

    const std::string skip =
        shift_ > frame_ ? "    if (memory->skip > 0) {\n      --memory->skip;\n      continue;\n    }\n" : "";
    const std::string moved =
        shift_ < frame_
            ? fmt::format("    {}(held, held + {}, {});\n    memory->held = {};\n", unit_.helper("copy"),
                          shift_, frame_ - shift_, frame_ - shift_)
            : "    memory->held = 0;\n" +
                  (shift_ > frame_ ? fmt::format("    memory->skip = {};\n", shift_ - frame_) : "");
    function(
        fmt::format("int32_t {0}_push({0}_memory *memory, const int16_t *samples, int32_t count)", name()),
        fmt::format("  float *held = {};\n  int32_t i;\n  for (i = 0; i < count; ++i) {{\n{}"
                    "    held[memory->held++] = (float)samples[i];\n"
                    "    if (memory->held < {}) continue;\n    if (analyse(memory) < 0) return -1;\n{}  }}\n"
                    "  return 0;\n",
                    held_, skip, frame_, moved));

    std::string finish;
    if (options_.delta_order > 0)
      finish += fmt::format(
          "  int32_t i;\n  if (memory->rows == 0) return -1;\n"
          "  /* the last row again, in the place of those that would follow it */\n"
          "  for (i = 0; i < {}; ++i)\n    if (take_row(memory, {}) < 0) return -1;\n",
          context_, row_);
    if (options_.cmvn == Cmvn::utterance)
      finish += "  if (memory->frames == 0) return -1;\n  normalise(memory);\n";
    finish += setting_.streaming ? "  return finish_frames(memory, result);\n"
                                 : "  return answer(memory, result);\n";
    if (options_.cmvn == Cmvn::utterance) write_normalisation();
    function(fmt::format("int32_t {0}_finish({0}_memory *memory, float *result)", name()), finish);
  }

  void write_normalisation() {
    functions_ += fmt::format(
        R"(/* each feature to mean 0 and variance 1 over the frames that have come, as far as asked */
static void normalise({0}_memory *memory) {{
  int32_t i, t;
  for (i = 0; i < {1}; ++i) {{
    float *values = memory->kept + i;
    float mean = 0.0F, squares = 0.0F, scale = 1.0F;
    for (t = 0; t < memory->frames; ++t) mean += values[t * {1}];
    mean /= (float)memory->frames;
    for (t = 0; t < memory->frames; ++t) squares += (values[t * {1}] - mean) * (values[t * {1}] - mean);
    squares = sqrtf(squares / (float)memory->frames);
    if ({2} && squares > 1e-10F) scale = 1.0F / squares;
    for (t = 0; t < memory->frames; ++t)
      values[t * {1}] = (values[t * {1}] - mean) * scale + {3};
  }}
}}

)",
        name(), setting_.width, options_.norm_vars ? 1 : 0, options_.norm_means ? "0.0F" : "mean");
  }

  CUnit& unit_;
  const CSetting& setting_;
  CMemory& memory_;
  const FrontEnd& front_end_;
  const FeatureOptions& options_;
  const int frame_, shift_, fft_;
  const int64_t dimensions_;  // of a row without differences
  const speech::FrameTables tables_;
  int64_t context_ = 0;
  std::string held_, rows_, row_, roots_, functions_;
};

}  // namespace

CModel write_front_end(CUnit& unit, const CSetting& setting, CMemory& memory) {
  return FrontEndWriter(unit, setting, memory).write();
}

}  // namespace lariat::to_c
