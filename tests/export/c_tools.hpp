#pragma once

#include <string>
#include <vector>

#include "frontends/export/export_c.hpp"
#include "frontends/recipe/corpus.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace lariat::testing {

/// Runs a line of a shell in a folder.
ProgramRun shell(const std::string& folder, const std::string& line);
/// Whether the shell finds all these programs; else marks the test case as skipped.
bool have_programs(const std::vector<std::string>& names);

/// A model of these layers with random weights and biases, of which `zeros` are zero, saved and loaded again.
SavedModel random_model(const TemporaryFolder& folder, const std::vector<LayerSpec>& layers,
                        const DataShape& shape, double zeros = 0.7, const FrontEnd* front_end = nullptr);

/// Plain data of `dimensions`, or sequences, of three classes.
DataShape plain_shape(int64_t dimensions);
DataShape sequence_shape(int64_t dimensions);

/// Writes a program's files into the folder.
void write_program(const std::string& folder, const to_c::CProgram& program);
/// Builds the programs of these names in the folder with all warnings as errors, and runs their self-tests.
void build_and_run(const TemporaryFolder& folder, const std::vector<std::string>& names,
                   const std::string& compiler);

}  // namespace lariat::testing
