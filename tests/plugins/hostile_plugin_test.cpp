// Plugins that do one thing wrong each (tests/plugins/hostile.cpp): the host lives, and says what it was.
#include <cfenv>
#include <clocale>
#include <csignal>
#include <cstdlib>

#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"
#include "ops/plugin/structs.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::hostile_plugin_test {
using testing::message_of;

namespace {

const std::string file = LARIAT_BUILD_ROOT "/tests/hostile.so";

struct Fault {
  const char *name, *message;
};

testing::ProgramRun run_hostile(const std::string& fault, std::vector<std::string> words) {
  return testing::run_lariat(
      words, {.environment = {{"HOSTILE", fault}, {"ASAN_OPTIONS", "handle_segv=0:detect_leaks=0"}}});
}

// The shared object of a source.
std::string compiled(const testing::TemporaryFolder& folder, const std::string& name, const std::string& code,
                     const std::string& compiler, const std::string& ending) {
  testing::write_file(folder / (name + ending), code);
  const auto run =
      testing::run_lariat({"-c", compiler +
                                     " -shared -fPIC -I'" LARIAT_SOURCE_ROOT "' -I'" LARIAT_SOURCE_ROOT
                                     "/examples/include' -o '" +
                                     folder / (name + ".so") + "' '" + folder / (name + ending) + "'"},
                          {.program = "/bin/sh"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return folder / (name + ".so");
}

std::string compiled_cpp(const testing::TemporaryFolder& folder, const std::string& name,
                         const std::string& code) {
  return compiled(folder, name, code, "g++ -std=c++20 -fvisibility=hidden", ".cpp");
}

std::string tried(const std::string& plugin, const std::string& how) {
  return "plugin '" + plugin + "': it was tried in a process of its own: it " + how + " while it was loaded";
}

}  // namespace

TEST_CASE("hostile plugins: global objects that throw, crash or exit do so in a process that nobody needs") {
  const testing::TemporaryFolder folder;
  const auto load = [](const std::string& plugin) {
    return message_of<UserError>([&] { load_plugin(plugin); });
  };
  const auto with_constructor = [&](const std::string& name, const std::string& body) {
    return compiled_cpp(folder, name,
                        "#include <cstdlib>\nstruct S { S() { " + body +
                            " } } s;\nextern \"C\" __attribute__((visibility(\"default\"))) void* "
                            "lariat_plugin_entry(void*) { return nullptr; }\n");
  };
  const std::string throws = with_constructor("throws", "throw 1;"),
                    crashes = with_constructor("crashes", "*(volatile int*)nullptr = 1;"),
                    exits = with_constructor("exits", "std::exit(3);");
  const std::string abort_text = "ended the process by signal 6 (Aborted)";
  CHECK(load(throws) == tried(throws, abort_text));
  CHECK(load(crashes) == tried(crashes, "ended the process by signal 11 (Segmentation fault)"));
  CHECK(load(exits) == tried(exits, "ended the process with exit status 3"));
  const std::string wild = compiled_cpp(
      folder, "wild",
      "#include \"ops/plugin/lariat_op.h\"\nstatic lariat_plugin p = {sizeof p, LARIAT_OP_MAGIC, "
      "LARIAT_OP_MAJOR, 0, 0, (const char*)8, \"1\", \"\", nullptr, 1, 0};\nextern \"C\" LARIAT_EXPORT "
      "const lariat_plugin* lariat_plugin_entry(const lariat_host*) { return &p; }\n");
  CHECK(load(wild) == tried(wild, "ended the process by signal 11 (Segmentation fault)"));
  // What is refused where it was tried is not in this process when that ends.
  const std::string aborts = compiled_cpp(
      folder, "aborts",
      "#include <cstdlib>\nstruct S { ~S() { std::abort(); } } s;\nextern \"C\" "
      "__attribute__((visibility(\"default\"))) void* lariat_plugin_entry(void*) { return nullptr; }\n");
  CHECK(load(aborts) == "plugin '" + aborts + "': its lariat_plugin_entry returned NULL without a message");
  // Of one that would load as well.
  const std::string leaves =
      compiled_cpp(folder, "leaves",
                   "#include <cstdlib>\n#include \"examples/plugins/swish.cpp\"\nstruct S { ~S() { "
                   "std::abort(); } } s;\n");
  CHECK(load(leaves) ==
        "plugin '" + leaves + "': it was tried in a process of its own: it " + abort_text + " at its end");
  if (!testing::have_lariat()) return;
  // In a folder they are left out with a word.
  const auto run =
      testing::run_lariat({"ops", "show", "tanh"}, {.environment = {{"LARIAT_PLUGIN_PATH", folder.text()}}});
  CHECK(run.status == 0);
  for (const std::string& plugin : {throws, crashes, exits, wild, aborts, leaves})
    CHECK(run.err.find("lariat: left out: plugin '" + plugin + "'") != std::string::npos);
}

TEST_CASE("hostile plugins: a file that is cut off is told before the linker reads behind its end") {
  const testing::TemporaryFolder folder;
  const std::string whole = testing::read_file(file);
  for (size_t part = 1; part < 40; ++part) {
    const size_t size = whole.size() * part / 40;
    CAPTURE(size);
    const std::string cut = folder / "cut.so";
    testing::write_file(cut, whole.substr(0, size));
    const std::string message = message_of<UserError>([&] { load_plugin(cut); });
    CHECK(message.starts_with("plugin '" + cut + "': it is cut off: its parts reach up to byte "));
    CHECK(message.ends_with(", and it has " + std::to_string(size) + "; copy it again"));
  }
  testing::write_file(folder / "short.so", whole.substr(0, 20));
  CHECK_THROWS_AS(load_plugin(folder / "short.so"), UserError);
}

TEST_CASE(
    "hostile plugins: a library that closes itself stays, and symbols are not calculated with as sizes") {
  const testing::TemporaryFolder folder;
  const std::string plugin = compiled_cpp(folder, "closes", R"(
#include <dlfcn.h>
#include "ops/plugin/lariat_op.hpp"
using namespace lariat::op;
__attribute__((constructor)) static void close_itself() {
  Dl_info info;
  dladdr((void*)close_itself, &info);
  void* self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  for (int i = 0; i < 4; ++i) dlclose(self);
}
template <int kind>
static Op shaped(const char* name) {
  Op op{name, "An op.", {{"x"}}};
  op.infer = [](const Infer& c) {
    const Type x = c.in(0);
    if (kind == 0) c.out(0, {x.dtype, {-1, x.shape[1]}});
    if (kind == 1) c.out(0, {x.dtype, {static_cast<lariat_dim>(x.shape[0]) - 1}});
    if (kind == 2) c.out(0, {x.dtype, {static_cast<lariat_dim>(x.shape[0]) * 2}});
    if (kind == 3) c.out(0, {x.dtype, {2 * x.shape[0] + 1, x.shape[1] / 2}});
    if (kind == 4) c.out(0, broadcast(x, {x.dtype, {1, 1, 1}}));
  };
  op.forward = [](const auto&) {};
  return op;
}
LARIAT_PLUGIN(.name = "closes", .version = "1",
              .ops = {shaped<0>("minus_one"), shaped<1>("less_one"), shaped<2>("twice_as_raw"), shaped<3>("calculated"),
                      shaped<4>("broadcast_of")})
)");
  CHECK(load_plugin(plugin).ops.size() == 5);
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 6});
  const auto message = [&](const char* op) { return message_of<UserError>([&] { build(op, {x}); }); };
  CHECK(message("minus_one").ends_with("a wrong type: -1 is no size and no symbol that the host gave"));
  for (const char* op : {"less_one", "twice_as_raw"})
    CHECK(message(op).ends_with(" is no size and no symbol that the host gave"));
  CHECK(text(build("calculated", {x}).shape()) == "[2*batch + 1, 3]");
  CHECK(text(build("broadcast_of", {x}).shape()) == "[1, batch, 6]");
}

TEST_CASE("hostile plugins: what is wrong with a description is told, and none of its ops is known") {
  const std::vector<Fault> faults{
      {"null", "its lariat_plugin_entry returned NULL without a message"},
      {"refusal", "it refuses this host: it wants another host"},
      {"entry_exception", "it let an exception out of lariat_plugin_entry"},
      {"entry_integer", "it let an exception out of lariat_plugin_entry"},
      {"entry_foreign", "it let an exception out of lariat_plugin_entry"},
      {"magic", "its description has the magic number 00000001; lariat_op.h has 4c617231"},
      {"major",
       "it was compiled against version 2.1 of lariat_op.h, this host has 1.1; compile it against this "
       "host's"},
      {"needs_minor", "it needs version 1.77 of lariat_op.h, this host has 1.1; use a newer Lariat"},
      {"truncated", "its description says that its size is 16; version 1 of lariat_op.h has 64"},
      {"huge", "its description says that its size is 18446744073709551615; version 1 of lariat_op.h has 64"},
      {"no_name", "its description gives no name or version"},
      {"no_ops", "it has no ops"},
      {"fewer_than_no_ops", "it has no ops"},
      {"no_array", "ops [0] is NULL"},
      {"truncated_op", "ops [0] says that its size is 40; version 1 of lariat_op.h has 232"},
      {"op_name", "an op is called 'Bad-Name'; a name is a letter from a to z, then letters, digits or _"},
      {"built_in_name",
       "its op 'tanh' is known already from Lariat itself; load one of the two, or rename it"},
      {"twice", "it defines the op 'hostile' twice"},
      {"no_documentation", "op 'hostile' has no documentation"},
      {"no_forward", "op 'hostile' has no forward function"},
      {"no_dtypes", "op 'hostile' names no dtype that its forward function takes"},
      {"two_gradients", "op 'hostile' has its gradient as nodes and as a kernel; give one of the two"},
      {"no_inputs", "op 'hostile' has 0 inputs; it must be 1 to 64"},
      {"many_inputs", "op 'hostile' has 65 inputs; it must be 1 to 64"},
      {"attribute_kind", "op 'hostile' has an attribute 'a' of kind 17; kinds are 0 to 4"},
      {"other_default", "op 'hostile' has a default of another kind than its attribute 'a'"},
      {"penalty_without_prox", "op 'hostile' is a penalty without prox or residual"},
  };
  const size_t loaded = loaded_plugins().size();
  for (const Fault& fault : faults) {
    CAPTURE(fault.name);
    setenv("HOSTILE", fault.name, 1);
    CHECK(message_of<UserError>([] { load_plugin(file); }) == "plugin '" + file + "': " + fault.message);
    unsetenv("HOSTILE");
  }
  CHECK(loaded_plugins().size() == loaded);
  CHECK(registry().find("hostile") == nullptr);
}

TEST_CASE("hostile plugins: what loading changes in the process is put back") {
  const std::string locale = std::setlocale(LC_ALL, nullptr);
  setenv("HOSTILE", "entry_state", 1);
  CHECK_THROWS_AS(load_plugin(file), UserError);
  unsetenv("HOSTILE");
  CHECK(std::fegetround() == FE_TONEAREST);
  volatile double tiny = 1e-308;
  CHECK(tiny / 16 > 0);
  CHECK(std::setlocale(LC_ALL, nullptr) == locale);
  struct sigaction action = {};
  CHECK(sigaction(SIGUSR1, nullptr, &action) == 0);
  CHECK((action.sa_handler == SIG_DFL));
}

TEST_CASE("hostile plugins: no entry, missing symbols, flush-to-zero by -Ofast") {
  const testing::TemporaryFolder folder;
  const auto compile = [&](const std::string& name, const std::string& code,
                           const std::string& options = "") {
    return compiled(folder, name, code, "cc " + options, ".c");
  };
  const std::string no_entry = compile("no_entry", "int other(void) { return 1; }");
  CHECK(message_of<UserError>([&] { load_plugin(no_entry); }) ==
        "plugin '" + no_entry + "': it is no plugin of Lariat: it exports no function lariat_plugin_entry");
  const std::string missing =
      compile("missing", "void nowhere(void); void* lariat_plugin_entry(void* h) { nowhere(); return h; }");
  CHECK(message_of<UserError>([&] { load_plugin(missing); }) ==
        "plugin '" + missing + "': it cannot be loaded: undefined symbol: nowhere");
  const std::string fast =
      compile("fast", "void* lariat_plugin_entry(void* h) { (void)h; return 0; }", "-Ofast");
  CHECK_THROWS_AS(load_plugin(fast), UserError);
  volatile double tiny = 1e-308;
  CHECK(tiny / 16 > 0);
}

TEST_CASE("hostile plugins: a newer one is taken as far as this host knows it") {
  if (!testing::have_lariat()) return;
  const auto run = run_hostile("newer_minor", {"plugin", "check", file});
  CAPTURE(run.out);
  CHECK(run.status == 0);
  CHECK(run.out.find("hostile_two") != std::string::npos);
  const auto harmless = run_hostile("", {"plugin", "check", file, "--isolate"});
  CAPTURE(harmless.out);
  CHECK(harmless.status == 0);
}

TEST_CASE("hostile plugins: plugin check finds what ops do wrong") {
  if (!testing::have_lariat()) return;
  const std::string plugin = "its plugin '" + file + "' ", f32 = "sample 'values' in f32: ";
  const std::string out_of_forward = f32 + plugin + "let an exception out of its ";
  const std::string none = "; none may cross the C boundary, catch it there";
  const std::string modes = "; it was put back, and the result is refused";
  struct Expected {
    std::string name, check, message;
  };
  const std::vector<Expected> faults{
      {"standard_exception", "values", out_of_forward + "forward function" + none},
      {"integer_exception", "values", out_of_forward + "forward function" + none},
      {"foreign_exception", "values", out_of_forward + "forward function" + none},
      {"standard_exception_in_body", "values", out_of_forward + "body of a parallel_for" + none},
      {"integer_exception_in_body", "values", out_of_forward + "body of a parallel_for" + none},
      {"foreign_exception_in_body", "values", out_of_forward + "body of a parallel_for" + none},
      {"status", "values", f32 + plugin + "returned status 7 from its forward function without a message"},
      {"status_in_body", "values",
       f32 + plugin + "returned status 7 from its body of a parallel_for without a message"},
      {"message", "values", f32 + plugin + "failed in its forward function: the plugin says no"},
      {"message_in_body", "values",
       f32 + plugin + "failed in its body of a parallel_for: the plugin says no"},
      {"parallel_arguments", "values",
       f32 + plugin +
           "failed in its forward function: host->parallel_for needs the kernel's run, a count from 0, a "
           "grain from 1 "
           "and a body"},
      {"rounding", "values",
       f32 + plugin + "left another floating-point mode behind its forward function" + modes},
      {"flush_to_zero", "values",
       f32 + plugin + "left another floating-point mode behind its forward function" + modes},
      {"rounding_in_body", "values",
       f32 + plugin + "left another floating-point mode behind its body of a parallel_for" + modes},
      {"standard_exception_elementwise", "values", out_of_forward + "element-wise function" + none},
      {"foreign_exception_elementwise", "values", out_of_forward + "element-wise function" + none},
      {"message_elementwise", "values",
       f32 + plugin + "failed in its element-wise function: the plugin says no"},
      {"rounding_elementwise", "values",
       f32 + plugin + "left another floating-point mode behind its element-wise function" + modes},
      {"flush_to_zero_elementwise", "values",
       f32 + plugin + "left another floating-point mode behind its element-wise function" + modes},
      {"infer_exception", "shapes",
       "[hostile]: " + plugin + "let an exception out of its shape inference" + none},
      {"no_type", "shapes", "[hostile]: " + plugin + "gave output 0 no type"},
      {"wrong_dtype", "shapes",
       "[hostile]: " + plugin + "gave output 0 a wrong type: 9 is no dtype; f32, f64 and i32 are 0, 1 and 2"},
      {"wrong_rank", "shapes",
       "[hostile]: " + plugin + "gave output 0 a wrong type: 99 is no rank; it must be 0 to 16"},
      {"wrong_dimension", "shapes",
       "[hostile]: " + plugin +
           "gave output 0 a wrong type: -9223372036854775808 is no size and no symbol that the host gave"},
      {"wrong_shape", "shapes",
       f32 +
           "inference gives f32[5] for a batch of any size, which is f32[5] for 7, but f32[7] for that size"},
      {"fickle_shape", "shapes", f32 + "inference gives another type when it is asked again"},
      {"past_the_end", "values", f32 + "it writes outside of output 0"},
      {"before_the_start", "values", f32 + "it writes outside of output 0"},
      {"into_input", "values", f32 + "it writes into input 0"},
      {"past_scratch", "values", f32 + "it writes outside of its scratch"},
      {"unwritten", "values",
       f32 + "element 0 of output 0 is what its memory held before: not written, or read"},
      {"far_away", "values", "ended the process by signal 11 (Segmentation fault)"},
      {"keeps_pointers", "values", "ended the process by signal 11 (Segmentation fault)"},
      {"stack_overflow", "values", "ended the process by signal 11 (Segmentation fault)"},
      {"abort", "values", "ended the process by signal 6 (Aborted)"},
      {"exit", "values", "ended the process with exit status 0"},
      {"random", "repeats", f32 + "element 0 of output 0 has other bits when it is run again"},
      {"chunk_order", "repeats",
       f32 + "element 0 of output 0 has other bits when chunks run in another order"},
      {"not_reentrant", "concurrent", " has other bits when 4 calls run at a time"},
      {"wrong_gradient", "gradcheck", "sample 'values': first derivative by input 0 element 0: "},
      {"wrong_value", "gradcheck", "sample 'values': the values are not the expected ones"},
      {"unknown_value", "gradcheck",
       plugin + "gave a wrong gradient of input 0: 123456789 is no value of the graph"},
      {"unknown_op", "gradcheck", "there is no op 'multiplly'. Did you mean 'multiply'?"},
      {"gradient_exception", "gradcheck", plugin + "let an exception out of its gradient" + none},
      {"wrong_reject", "rejects", "'is never said' was expected, but nothing is refused"},
      {"locale", "process", "it changed the locale from C to C.UTF-8"},
      {"signal_handler", "process", "it changed the handler of signal 10"},
  };
  for (const Expected& fault : faults) {
    const auto run = run_hostile(fault.name, {"plugin", "check", file});
    CAPTURE(fault.name);
    CAPTURE(run.out);
    CAPTURE(run.err);
    CHECK(run.status == 1);
    const size_t check = run.out.find("hostile  " + fault.check);
    CHECK(check != std::string::npos);
    const std::string line =
        run.out.substr(std::min(check, run.out.size()), run.out.find('\n', check) - check);
    CAPTURE(line);
    CHECK(line.find("FAULT: ") != std::string::npos);
    CHECK(line.find(fault.message) != std::string::npos);
  }
}

TEST_CASE("hostile plugins: plugin check ends what does not end, and what dies while it is loaded") {
  if (!testing::have_lariat()) return;
  const auto endless = run_hostile("endless", {"plugin", "check", file, "--seconds", "1"});
  CHECK(endless.status == 1);
  CHECK(endless.err ==
        "lariat: plugin check: 1 of 2 checks failed; the first: 'hostile': values: did not end within 1 s\n");
  const auto loading = run_hostile("entry_exit", {"plugin", "check", file});
  CHECK(loading.status == 2);
  CHECK(loading.err ==
        "lariat: plugin '" + file +
            "': it was tried in a process of its own: it ended the process with exit status 0 while "
            "it was loaded\n");
  const auto refused = run_hostile("major", {"plugin", "check", file});
  CHECK(refused.status == 2);
  CHECK(refused.err.starts_with("lariat: plugin '" + file + "': it was compiled against version 2.1"));
}

TEST_CASE("hostile plugins: what is refused memory is not to blame") {
  if (!testing::have_lariat()) return;
  for (const std::string place : {"", "_in_body", "_elementwise"}) {
    CAPTURE(place);
    const auto checked = run_hostile("no_memory" + place, {"plugin", "check", file});
    CAPTURE(checked.out);
    CHECK(checked.status == 1);
    CHECK_FALSE(testing::contains(checked.out, "FAULT"));
    CHECK(testing::contains(checked.out, "hostile  gradcheck"));
    CHECK(testing::contains(checked.out, "not run: there is not enough memory; raise the limit on it"));
    const auto gradients = run_hostile("no_memory" + place, {"gradcheck", "hostile", "--plugin", file});
    CHECK(gradients.status == 2);
    CHECK(testing::contains(gradients.err, "there is not enough memory"));
  }
}

TEST_CASE("hostile plugins: within one process exceptions and modes are caught all the same") {
  if (!testing::have_lariat()) return;
  for (const char* fault : {"standard_exception", "foreign_exception", "integer_exception_in_body",
                            "rounding", "flush_to_zero_in_body", "status"}) {
    CAPTURE(fault);
    const auto run = run_hostile(fault, {"gradcheck", "hostile", "tanh", "--plugin", file});
    CAPTURE(run.out);
    CHECK(run.status == 1);
    CHECK(run.out.find(": its plugin '" + file) != std::string::npos);
    CHECK(run.out.find("1 of 2 ops passed") != std::string::npos);
  }
}

TEST_CASE("plugin structs: members that an older header did not have are zero") {
  struct Old {
    uint64_t size;
    int32_t a, b;
  };
  struct New {
    uint64_t size;
    int32_t a, b;
    int64_t c;
  };
  const Old old[] = {{sizeof(Old), 1, 2}, {sizeof(Old), 3, 4}};
  int64_t sum = 0;
  plugin::for_each(reinterpret_cast<const New*>(old), 2, sizeof(Old), "olds",
                   [&](const New& entry, int64_t i) {
                     CHECK(entry.a == 2 * i + 1);
                     CHECK(entry.c == 0);
                     sum += entry.b;
                   });
  CHECK(sum == 6);
}

}  // namespace lariat::hostile_plugin_test
