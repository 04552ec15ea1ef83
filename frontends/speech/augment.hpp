#pragma once

#include <cstdint>
#include <utility>

#include "frontends/data/option_table.hpp"
#include "frontends/data/random.hpp"
#include "frontends/speech/features.hpp"

namespace lariat::speech {

/// Random changes to training examples. The defaults change nothing; ranges and meanings stand in
/// augment_option_table().
struct AugmentOptions {
  double speed_min = 1, speed_max = 1;
  double tempo_min = 1, tempo_max = 1;
  double pitch_min = 1, pitch_max = 1;
  double vtln_min = 1, vtln_max = 1;
  double time_shift = 0;
  double gain_min = 0, gain_max = 0;
  double noise_probability = 0;
  double noise_snr_min = 10, noise_snr_max = 30;
  int time_masks = 0, time_mask_width = 10;
  int frequency_masks = 0, frequency_mask_width = 8;
};

const data::OptionTable<AugmentOptions>& augment_option_table();

/// Throws UserError naming key, value and range where a value is impossible.
void check(const AugmentOptions& options);

/// Plays the audio `factor` times as fast, which raises its pitch alike; n samples become round(n/factor).
void change_speed(Audio& audio, double factor);
/// Plays the audio `factor` times as fast, with its pitch and its formants; n samples become round(n/factor).
/// Windows of the audio are laid over each other, each from where it goes on best from the one before: WSOLA,
/// Verhelst and Roelands (ICASSP 1993), with windows of 30 ms, half over each other, sought 7.5 ms to either
/// side.
void change_tempo(Audio& audio, double factor);
/// Moves the audio `samples` later, or earlier where negative. What leaves at one end comes in at the other,
/// so that no digital silence arises.
void shift_in_time(Audio& audio, int64_t samples);
/// Multiplies the samples by 10^(decibels/20).
void change_gain(Audio& audio, double decibels);
/// Adds white Gaussian noise whose power lies `snr` dB below that of the audio.
void add_noise(Audio& audio, double snr, data::RandomStream& random);

/// SpecAugment's masks (Park et al., Interspeech 2019): the frames or dimensions [first, first + width) take
/// the mean of their dimension over the utterance; after CMVN that is the paper's zero.
void mask_frames(FeatureMatrix& features, int64_t first, int64_t width);
void mask_dimensions(FeatureMatrix& features, int64_t first, int64_t width);

/// The changes to audio that `options` ask for, drawn from (seed, epoch, example) alone. Returns by how much
/// its features are to be warped (FeatureExtractor::extract), for the vocal tract and to keep formants where
/// the pitch has moved them.
double augment(Audio& audio, const AugmentOptions& options, uint64_t seed, uint32_t epoch, uint32_t example);
/// The least and the most that is returned.
std::pair<double, double> warps(const AugmentOptions& options);
/// The masks that `options` ask for; each is up to the width wide, and at most half the features.
void augment(FeatureMatrix& features, const AugmentOptions& options, uint64_t seed, uint32_t epoch,
             uint32_t example);

}  // namespace lariat::speech
