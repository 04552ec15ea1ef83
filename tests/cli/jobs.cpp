#include "tests/cli/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "frontends/recipe/checkpoint.hpp"
#include "graph/io/store.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace fs = std::filesystem;

namespace lariat::testing {

namespace {

// What an earlier run left; a page replaces none but lariat's own.
std::string earlier_text(const std::string& file) {
  return std::string(fs::path(file).extension() == ".html" ? "<meta name=\"generator\" content=\"lariat\">"
                                                           : "") +
         "what an earlier run left";
}

// Leaves out how long something took.
nlohmann::json without_times(const nlohmann::json& figures) {
  if (!figures.is_structured()) return figures;
  nlohmann::json result = figures;
  for (auto member = result.begin(); member != result.end();) {
    const bool time = figures.is_object() && member.key().find("seconds") != std::string::npos;
    if (time) {
      member = result.erase(member);
    } else {
      *member = without_times(*member);
      ++member;
    }
  }
  return result;
}

bool is_checkpoint(const std::string& file) { return file.find(".checkpoint") != std::string::npos; }

// Whether a file says by itself that it is whole.
bool has_form(const std::string& file) {
  const std::string ending = fs::path(file).extension();
  return is_checkpoint(file) || ending == ".json" || ending == ".safetensors" || ending == ".html";
}

// What tells a whole file from another, or how it is torn behind "torn: ".
std::string told(const std::string& file) {
  const std::string bytes = read_file(file), ending = fs::path(file).extension();
  if (bytes == earlier_text(file)) return "earlier";
  try {
    if (ending == ".json") return without_times(nlohmann::json::parse(bytes)).dump();
    if (ending == ".safetensors") return fmt::format("{:016x}", Store::load(file).hash());
    if (is_checkpoint(file)) {
      Checkpoint::load(file);
      return "checkpoint";
    }
    if (ending == ".html") return bytes.ends_with("</html>\n") ? "page" : "torn: no end";
    return bytes;
  } catch (const std::exception& error) {
    return fmt::format("torn: {}", error.what());
  }
}

}  // namespace

Jobs::Jobs() : said_(folder_ / "said") {
  const auto in = [&](const std::string& name) { return folder_ / "in/" + name; };
  const auto out = [&](const std::string& name) { return folder_ / "out/" + name; };
  fs::create_directories(folder_ / "in");
  fs::create_directories(folder_ / "out");
  const std::string digits = write_digits(folder_, 6), images = write_images(folder_);
  // Fewer recordings, half of them to be tested with, and the same by folders and lists.
  const std::string words = folder_ / "words";
  for (int digit = 0; digit < 10; ++digit) {
    const bool known = digit < 2;
    for (const char* speaker : {"ann", "bob"})
      for (int i = 0; i < 6; ++i) {
        const std::string name = fmt::format("{}_{}_{}.wav", digit, speaker, i);
        if (!known) {
          fs::remove(digits + "/" + name);
        } else if (i < 4) {
          fs::create_directories(fmt::format("{}/{}", words, digit));
          fs::copy_file(digits + "/" + name, fmt::format("{}/{}/{}{}.wav", words, digit, speaker, i));
        }
      }
  }
  write_file(words + "/testing_list.txt", "0/ann0.wav\n1/bob1.wav\n1/ann2.wav\n");
  write_file(in("digits.toml"), speech_recipe);
  write_file(in("images.toml"), image_recipe);
  write_file(in("rows"), "1 1:2 2:3\n-1 1:1 2:1\n1 2:3\n-1 1:2\n");
  write_file(in("x.npy"), npy_of<float>("<f4", "(4, 2)", {1, 2, -1, 0.5F, 2, 1, -2, 3}));
  write_file(in("y.npy"), npy_of<int32_t>("<i4", "(4,)", {1, -1, 1, -1}));

  using Names = std::vector<std::string>;
  const auto add = [&](const std::string& name, const Names& arguments, const Names& outputs,
                       const Names& inputs, const std::string& checkpoint = "") {
    list_.push_back({name, arguments, outputs, inputs, checkpoint, ""});
  };
  const auto train = [&](const std::string& name, const std::string& recipe, const std::string& data,
                         const Names& inputs, Names more) {
    const std::string model = out(name + ".safetensors");
    more.insert(more.begin(), {"train", recipe, "--data", data, "--quiet", "--threads", "2", "--out", model});
    more.insert(more.end(), {"--json", out(name + ".json"), "--report", out(name + ".html")});
    add(name, more, {model, model + ".checkpoint", out(name + ".json"), out(name + ".html")}, inputs,
        model + ".checkpoint");
  };
  const Names small{"--set", "layers.1.units=2", "--set", "features.num_mel_bins=4"};
  const std::string model = out("speech.safetensors"), clip = digits + "/1_ann_0.wav";
  train("speech", in("digits.toml"), digits, {clip}, small);
  train("images", in("images.toml"), images,
        {images + "/train-images-idx3-ubyte", images + "/train-labels-idx1-ubyte"},
        {"--set", "training.epochs=3", "--checkpoint-epochs", "1", "--checkpoint-steps", "2",
         "--keep-checkpoints", "3"});
  list_.back().outputs.push_back(out("images.safetensors.checkpoint-1"));
  list_.back().outputs.push_back(out("images.safetensors.checkpoint-2"));
  Names folders = small;
  folders.insert(folders.end(), {"--set", "data.kind=folders", "--set", "training.epochs=1"});
  train("words", in("digits.toml"), words, {words + "/testing_list.txt"}, folders);
  const std::string found = out("search.safetensors");
  add("search",
      {"search",
       in("images.toml"),
       "--data",
       images,
       "--quiet",
       "--threads",
       "2",
       "--set",
       "training.epochs=1",
       "--over",
       "layers.0.kernel_penalty=l1=1e-4..1e-2:log:2",
       "--folds",
       "2",
       "--warm-start",
       "--out",
       found,
       "--json",
       out("search.json"),
       "--report",
       out("search.html")},
      {found, found + ".checkpoint", out("search.json"), out("search.html")}, {});
  list_.back().journal = found + ".journal";
  // The model of the first job, which others read.
  prepare(list_[0], false);
  REQUIRE(run(list_[0], 0, "").status == 0);
  fs::rename(model, in("model.safetensors"));
  fs::rename(model + ".checkpoint", in("checkpoint"));
  Names resumed = list_[0].arguments;
  resumed.insert(resumed.end(), {"--resume", in("checkpoint")});
  add("resume", resumed, {model, out("speech.json"), out("speech.html")}, {in("checkpoint")});
  add("evaluate", {"evaluate", in("model.safetensors"), "--data", digits, "--json", out("evaluate.json")},
      {out("evaluate.json")}, {in("model.safetensors"), clip});
  add("recognize", {"recognize", in("model.safetensors"), clip, "--json", out("recognize.json")},
      {out("recognize.json")}, {in("model.safetensors"), clip});
  add("inspect", {"inspect", in("model.safetensors"), "--json", out("inspect.json")}, {out("inspect.json")},
      {in("model.safetensors")});
  add("export",
      {"export", in("model.safetensors"), "--to", "c", "--out", folder_ / "out", "--frames", "40",
       "--vectors", "1"},
      {out("model.c"), out("model.h"), out("model_test.c")}, {in("model.safetensors")});
  add("convert",
      {"convert", in("model.safetensors"), "--weights", "int8", "--out", out("convert.safetensors"), "--json",
       out("convert.json")},
      {out("convert.safetensors"), out("convert.json")}, {in("model.safetensors")});
  add("compact",
      {"compact", in("model.safetensors"), "--out", out("compact.safetensors"), "--json",
       out("compact.json")},
      {out("compact.safetensors"), out("compact.json")}, {in("model.safetensors")});
  add("compare",
      {"compare", in("model.safetensors"), "--json", out("compare.json"), "--report", out("compare.html")},
      {out("compare.json"), out("compare.html")}, {in("model.safetensors")});
  add("features", {"features", clip, "--out", out("features.csv")}, {out("features.csv")}, {clip});
  add("graph", {"graph", in("images.toml"), "--data", images, "--dot", out("graph.dot")}, {out("graph.dot")},
      {in("images.toml")});
  add("solve",
      {"solve", "--data", in("rows"), "--quiet", "--out", out("w.safetensors"), "--json", out("w.json")},
      {out("w.safetensors"), out("w.json")}, {in("rows")});
  fs::copy_file(LARIAT_BUILD_ROOT "/examples/swish.so", in("swish.so"));
  add("plugin", {"gradcheck", "swish", "--plugin", in("swish.so"), "--json", out("swish.json")},
      {out("swish.json")}, {in("swish.so")});
  add("path",
      {"path", "--data", in("x.npy"), "--labels", in("y.npy"), "--quiet", "--lambdas", "5", "--table",
       out("p.csv"), "--coefficients", out("c.csv"), "--report", out("p.html")},
      {out("p.csv"), out("c.csv"), out("p.html")}, {in("x.npy"), in("y.npy")});

  for (const Job& job : list_) {
    prepare(job, false);
    const ProgramRun whole = run(job, 0, "");
    REQUIRE_MESSAGE(whole.status == 0, (job.name + ": " + whole.err));
    for (const std::string& output : job.outputs) {
      CAPTURE(output);
      REQUIRE(fs::exists(output));
      expected_[output] = told(output);
      REQUIRE(!expected_[output].starts_with("torn: "));
    }
  }
}

void Jobs::prepare(const Job& job, bool earlier) const {
  fs::remove_all(folder_ / "out");
  fs::create_directories(folder_ / "out");
  if (!earlier) return;
  for (const std::string& output : job.outputs) write_file(output, earlier_text(output));
}

ProgramRun Jobs::run(const Job& job, int64_t at, const std::string& how,
                     const ProgramOptions& options) const {
  fs::remove(said_);
  ProgramOptions more = options;
  if (at != 0)
    more.environment.insert({{"LD_PRELOAD", LARIAT_BUILD_ROOT "/tests/failing_io.so"},
                             // Its library is to come first, and knows of no file that is opened before it.
                             {"ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0"},
                             {"LARIAT_IO_BELOW", folder_.text() + "/"},
                             {"LARIAT_IO_AT", std::to_string(at)},
                             {"LARIAT_IO_HOW", how},
                             {"LARIAT_IO_SAID", said_}});
  return run_lariat(job.arguments, more);
}

int64_t Jobs::calls(const Job& job) const {
  prepare(job, true);
  REQUIRE(run(job, -1, "").status == 0);
  return std::stoll(happened());
}

std::string Jobs::happened() const { return read_file(said_); }

std::string Jobs::outcome(const Job& job, Inputs inputs, bool done, bool killed) const {
  std::string wrong;
  for (const std::string& output : job.outputs) {
    const bool exists = fs::exists(output);
    const std::string found = exists ? told(output) : "none";
    // Bytes that nothing can be asked about are those of a whole run.
    const bool same = found == expected_.at(output),
               whole = found == "earlier" ||
                       ((has_form(output) || inputs == Inputs::changed) && !found.starts_with("torn: "));
    if (!same && (done || (exists && !whole))) wrong += fmt::format("{}: {}\n", output, found.substr(0, 200));
  }
  for (const auto& entry : fs::directory_iterator(folder_.path() / "out")) {
    const std::string name = entry.path().string();
    const auto known = [&](const std::string& output) {
      return name == output || (killed && name == output + ".tmp-1");
    };
    // With the weights of its last trials.
    if (!job.journal.empty() && name.starts_with(job.journal)) continue;
    if (std::none_of(job.outputs.begin(), job.outputs.end(), known)) wrong += name + " was left\n";
  }
  return wrong;
}

std::string Jobs::torn(const Job& job, bool done) const { return outcome(job, Inputs::same, done, false); }

std::string Jobs::torn_by_kill(const Job& job) const { return outcome(job, Inputs::same, false, true); }

std::string Jobs::torn_with_other_inputs(const Job& job) const {
  return outcome(job, Inputs::changed, false, false);
}

std::string Jobs::again(const Job& job) const {
  Job next = job;
  if (!job.checkpoint.empty() && fs::exists(job.checkpoint) && told(job.checkpoint) == "checkpoint")
    next.arguments.insert(next.arguments.end(), {"--resume", job.checkpoint});
  if (!job.journal.empty() && fs::exists(job.journal)) next.arguments.emplace_back("--resume");
  const ProgramRun resumed = run(next, 0, "");
  if (resumed.status != 0) return resumed.err;
  return torn(job, true);
}

}  // namespace lariat::testing
