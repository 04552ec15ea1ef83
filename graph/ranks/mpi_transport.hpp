#pragma once

#include <functional>

#include "graph/ranks/ranks.hpp"

namespace lariat {

/// What a process can see of how it was started.
struct MpiStart {
  /// "openmpi" or "mpich": whose module is needed; "": not by MPI.
  std::string module;
  /// "Open MPI's mpirun (OMPI_COMM_WORLD_SIZE=4)"
  std::string by;
  int rank = 0;
  /// Of all; 0: unknown.
  int size = 1;
  /// How many of the ranks are on this host; 0: unknown.
  int on_host = 0;
};

/// By the variables that launchers set, and by MPI itself where the program has started it. `variable` gives
/// an environment variable or nullptr. Throws UserError where several processes were started together without
/// MPI, or LARIAT_MPI names no module; "none" there keeps a process alone.
MpiStart mpi_start(const std::function<const char*(const char*)>& variable);
MpiStart mpi_start();

/// Loads the module of that MPI and starts it. Throws UserError where it is missing, saying where it was
/// looked for, and where it sees another number of processes than the launcher has started.
std::unique_ptr<Transport> mpi_transport(const MpiStart& start);

/// The ranks of the MPI that started this process, or of the program's own MPI_Init; nullptr where there is
/// none. Throws UserError, the same on all, where they are of different builds.
std::shared_ptr<Ranks> mpi_ranks(const RanksOptions& options = {});

/// Throws UserError where MPI has started this process as one of several and nothing has joined them, so that
/// each would do all of `what` by itself, such as "the training".
void refuse_alone(const std::string& what);

/// The sum over all ranks as the MPI itself computes it, in place, to compare with. Of a transport of
/// mpi_transport().
void mpi_all_reduce(Transport& transport, float* data, int count);

}  // namespace lariat
