#pragma once

#include "frontends/sequential/network.hpp"
#include "graph/io/short_numbers.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// What a model file says beside its tensors.
struct ModelHeader {
  std::vector<LayerSpec> layers;
  DataShape shape;
  /// Of a loss of one's own its name and task alone are written, and such metrics are left out.
  std::vector<ModelOutput> outputs = std::vector<ModelOutput>(1);
};

/// The notes that make a store a model file or a checkpoint.
inline constexpr const char* model_format = "lariat model";
/// Of frontends/linear.
inline constexpr const char* linear_format = "lariat linear model";
inline constexpr const char* checkpoint_format = "lariat checkpoint";
inline constexpr const char* format_version = "2";
/// Notes the format, and the hash of all tensors and notes: the last thing before `store` is saved.
void seal(Store& store, const char* format);
/// Throws UserError naming the file where `store` is not of that format and version, or holds anything else
/// than what was sealed. Files of version 1 load too: their hash, where they have one, is of the tensors
/// alone, so that damage to their notes may pass; saving them again mends that.
void check_format(const Store& store, const char* format, const std::string& file);
/// The note of that name. Throws UserError naming the file where it is missing or its JSON is nested deeper
/// than any that is written.
const std::string& note_of(const Store& store, std::string_view name, const std::string& file);

/// How targets are standardised, as a note where they are, and back. Throws UserError naming the file where
/// the note is damaged.
void write_target_scales(Store& store, const std::vector<data::TargetScale>& scales);
std::vector<data::TargetScale> read_target_scales(const Store& store, const std::string& file);

void write_header(Store& store, const ModelHeader& header);
/// Throws UserError where an op of a plugin that a layer computes with is not loaded, or is another one of
/// that name; with `missing` that is only said there, a line each.
ModelHeader read_header(const Store& store, const std::string& file,
                        std::vector<std::string>* missing = nullptr);

/// Throws UserError naming file and tensor where one holds NaN or infinity.
void check_finite(const Store& store, const std::string& file);

/// Rounds the parameters of `network` in `store` to numbers of that form, in which a model file is smaller;
/// of int8, kernels, a scale for each of their last axis, and what has no two axes to float16. What is no
/// parameter stays. Throws UserError naming file and tensor where one holds NaN, infinity, or what float16
/// cannot hold.
void round_weights(Store& store, const Network& network, NumberForm form, const std::string& file);

/// Seals `store` as a model and writes it, tensors coded where that is shorter. Throws UserError as
/// check_finite() does.
void save_model(Store& store, const std::string& file, Packing packing = Packing::coded);

/// The parameters of `network` that `store` holds. Throws UserError naming file, tensor and both shapes where
/// one is missing or of another shape.
Store parameters_of(const Network& network, const Store& store, const std::string& file);

}  // namespace lariat
