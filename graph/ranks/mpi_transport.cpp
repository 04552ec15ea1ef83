#include "graph/ranks/mpi_transport.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "graph/base/build_name.hpp"
#include "graph/base/error.hpp"
#include "graph/ranks/mpi_module.h"

#ifndef LARIAT_MODULES_FROM_PROGRAMS
#define LARIAT_MODULES_FROM_PROGRAMS "../lib/lariat"
#endif

namespace lariat {

namespace {

int number_in(const char* text, int otherwise) {
  int value = otherwise;
  if (text != nullptr) {
    const std::string_view view(text);
    std::from_chars(view.data(), view.data() + view.size(), value);
  }
  return value;
}

const char* name_of_mpi(const std::string& module) { return module == "openmpi" ? "Open MPI" : "MPICH"; }

// The MPI that the program has loaded, or "".
std::string loaded_mpi() {
  using Version = int (*)(char*, int*);
  const auto version = reinterpret_cast<Version>(dlsym(RTLD_DEFAULT, "MPI_Get_library_version"));
  if (version == nullptr) return {};
  return dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world") != nullptr ? "openmpi" : "mpich";
}

bool started_by_program() {
  using Initialized = int (*)(int*);
  const auto initialized = reinterpret_cast<Initialized>(dlsym(RTLD_DEFAULT, "MPI_Initialized"));
  int flag = 0;
  return initialized != nullptr && initialized(&flag) == 0 && flag != 0;
}

// What MPI_Comm_rank or MPI_Comm_size says of all processes: MPI_COMM_WORLD is the address of an object in
// Open MPI, and a number in MPICH and what has its interface.
int asked_of_world(const char* function, int otherwise) {
  void* const called = dlsym(RTLD_DEFAULT, function);
  int number = otherwise;
  if (called == nullptr) return number;
  if (void* const world = dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world")) {
    reinterpret_cast<int (*)(void*, int*)>(called)(world, &number);
  } else {
    constexpr int world_of_mpich = 0x44000000;
    reinterpret_cast<int (*)(int, int*)>(called)(world_of_mpich, &number);
  }
  return number;
}

// Whether this process has joined the others.
std::atomic<bool> joined = false;

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const lariat_mpi& mpi) : mpi_(mpi) {
    if (mpi_.start() < 0) fail();
  }
  int rank() const override { return mpi_.rank(); }
  int size() const override { return mpi_.size(); }
  std::string name() const override { return mpi_.name(); }
  bool any_thread() const override { return mpi_.any_thread() != 0; }
  Request send(int to, int tag, const void* data, size_t bytes) override {
    return checked(mpi_.send(to, tag, data, static_cast<int>(bytes)));
  }
  Request receive(int from, int tag, void* data, size_t bytes) override {
    return checked(mpi_.receive(from, tag, data, static_cast<int>(bytes)));
  }
  bool over(Request request) override { return checked(mpi_.over(request)) != 0; }
  void end(bool in_order) override { mpi_.end(in_order ? 1 : 0); }
  void all_reduce(float* data, int count) { checked(mpi_.all_reduce(data, count)); }

 private:
  [[noreturn]] void fail() const {
    throw UserError(fmt::format(
        "MPI has failed: {}; see that all hosts can reach each other, and give every rank the same",
        mpi_.fault()));
  }
  Request checked(long result) const {
    if (result < 0) fail();
    return result;
  }
  const lariat_mpi& mpi_;
};

// Where modules are: beside the program, or where it installs them.
std::vector<std::string> module_folders() {
  std::vector<std::string> folders;
  if (const char* own = std::getenv("LARIAT_MODULES")) folders.emplace_back(own);
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  if (!none) {
    folders.push_back(program.string());
    folders.push_back((program / LARIAT_MODULES_FROM_PROGRAMS).lexically_normal().string());
  }
  return folders;
}

}  // namespace

MpiStart mpi_start(const std::function<const char*(const char*)>& variable) {
  MpiStart start;
  const auto has = [&](const char* name) { return variable(name) != nullptr; };
  const auto set = [&](const char* module, const char* launcher, const char* size, const char* rank,
                       const char* on_host) {
    start = {module, fmt::format("{} ({}={})", launcher, size, variable(size)), number_in(variable(rank), 0),
             number_in(variable(size), 1), number_in(variable(on_host), 0)};
  };
  if (has("OMPI_COMM_WORLD_SIZE")) {
    set("openmpi", "Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE");
  } else if (has("PMI_SIZE")) {
    set("mpich", "MPICH's launcher", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS");
  } else if (has("PMIX_RANK")) {
    const char* tasks = variable("SLURM_STEP_NUM_TASKS");
    start = {"openmpi", "a PMIx launcher (PMIX_RANK)", number_in(variable("PMIX_RANK"), 0),
             number_in(tasks != nullptr ? tasks : variable("SLURM_NTASKS"), 0), 0};
  }
  const char* wanted = variable("LARIAT_MPI");
  const std::string chosen = wanted == nullptr ? "" : wanted;
  if (chosen == "none") return {};
  if (!chosen.empty() && chosen != "openmpi" && chosen != "mpich")
    throw UserError(fmt::format("LARIAT_MPI is '{}'; it must be openmpi, mpich or none", chosen));
  if (!chosen.empty() && !start.module.empty()) start.module = chosen;
  if (start.module.empty() && has("SLURM_PROCID") && number_in(variable("SLURM_STEP_NUM_TASKS"), 1) > 1)
    throw UserError(
        fmt::format("srun has started {} tasks without MPI; start them with srun --mpi=pmix (Open MPI) or "
                    "--mpi=pmi2 (MPICH), or set "
                    "LARIAT_MPI=none if each is to run alone",
                    variable("SLURM_STEP_NUM_TASKS")));
  return start;
}

MpiStart mpi_start() {
  const auto variable = [](const char* name) { return static_cast<const char*>(std::getenv(name)); };
  const char* wanted = variable("LARIAT_MPI");
  if (started_by_program() && (wanted == nullptr || std::string_view(wanted) != "none"))
    return {loaded_mpi(), "the program's own MPI_Init", asked_of_world("MPI_Comm_rank", 0),
            asked_of_world("MPI_Comm_size", 0), 0};
  return mpi_start(variable);
}

std::unique_ptr<Transport> mpi_transport(const MpiStart& start) {
  const std::string file = fmt::format("liblariat_{}.so", start.module);
  std::string looked;
  void* library = nullptr;
  for (const std::string& folder : module_folders()) {
    const std::string path = folder + "/" + file;
    looked += (looked.empty() ? "" : ", ") + folder;
    if (!std::filesystem::exists(path)) continue;
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
      const char* why = dlerror();
      throw UserError(fmt::format("'{}' cannot be loaded: {}; install {}'s library", path,
                                  why ? why : "no reason", name_of_mpi(start.module)));
    }
    break;
  }
  if (library == nullptr)
    throw UserError(
        fmt::format("started by {}, but the module {} is in none of {}; install {} and build lariat again, "
                    "or name its folder in "
                    "LARIAT_MODULES",
                    start.by, file, looked, start.module == "openmpi" ? "libopenmpi-dev" : "libmpich-dev"));
  using Module = const lariat_mpi* (*)();
  const auto module = reinterpret_cast<Module>(dlsym(library, "lariat_mpi_module"));
  if (module == nullptr || module()->version != LARIAT_MPI_VERSION)
    throw UserError(fmt::format("{} is of another version of lariat; build and install both together", file));
  auto transport = std::make_unique<MpiTransport>(*module());
  if (start.size > 0 && transport->size() != start.size)
    throw UserError(fmt::format(
        "started by {}, but {} sees {} process{}: the library is not of the launcher's MPI; start it by the "
        "launcher of {}, and see that LARIAT_MPI names no other",
        start.by, transport->name(), transport->size(), transport->size() == 1 ? "" : "es",
        name_of_mpi(start.module)));
  joined = true;
  return transport;
}

std::shared_ptr<Ranks> mpi_ranks(const RanksOptions& options) {
  const MpiStart start = mpi_start();
  if (start.module.empty()) return nullptr;
  auto ranks = std::make_shared<Ranks>(mpi_transport(start), options);
  ranks->agree({{"another build of lariat", build_name()}});
  return ranks;
}

void refuse_alone(const std::string& what) {
  if (joined) return;
  const MpiStart start = mpi_start();
  if (start.module.empty() || start.size == 1) return;
  throw UserError(fmt::format(
      "{} was given no ranks, but this process was started as one of {} by {}, each of which would "
      "do all of it by itself; give it mpi_ranks(), or set LARIAT_MPI=none",
      what, start.size == 0 ? "several" : fmt::format("{}", start.size), start.by));
}

void mpi_all_reduce(Transport& transport, float* data, int count) {
  dynamic_cast<MpiTransport&>(transport).all_reduce(data, count);
}

}  // namespace lariat
