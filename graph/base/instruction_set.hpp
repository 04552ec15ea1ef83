#pragma once

#include <array>
#include <string_view>

namespace lariat {

/// What kernels are compiled for: x86-64 as it began, with AVX2 and FMA (x86-64-v3), or with AVX-512
/// (x86-64-v4).
enum class InstructionSet { baseline, avx2, avx512 };
std::string_view name_of(InstructionSet set);
bool processor_has(InstructionSet set);

/// The widest set that this build has kernels of and that the processor has; the environment variable
/// LARIAT_INSTRUCTION_SET, one of the three names, asks for a narrower one. Looked up once. Throws UserError
/// for another name, for a set that the build or the processor lacks, and where the build has none that the
/// processor has.
InstructionSet instruction_set();

/// One `T` for each instruction set; those that the build lacks are null.
template <class T>
using PerInstructionSet = std::array<const T*, 3>;

/// That of the set in use.
template <class T>
const T& in_use(const PerInstructionSet<T>& tables) {
  return *tables[static_cast<size_t>(instruction_set())];
}

}  // namespace lariat

// The name of something that each instruction set's copy of the kernels has one of: name_avx2, ...
#define LARIAT_OF_SET_(name, set) name##_##set
#define LARIAT_OF_SET_EXPANDED(name, set) LARIAT_OF_SET_(name, set)
#define LARIAT_OF_SET(name) LARIAT_OF_SET_EXPANDED(name, LARIAT_INSTRUCTION_SET_NAME)
