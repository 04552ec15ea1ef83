// Standard input and output as files, pipes, and names that would move what a terminal shows.
#include <nlohmann/json.hpp>

#include "frontends/sequential/sequential.hpp"
#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_streams_test {

using namespace lariat::testing;
using lariat::Store;

namespace {

ProgramRun shell(const std::string& script) {
  return run_lariat({"-ec", "lariat() { \"$LARIAT_PROGRAM\" \"$@\"; }\n" + script}, {.program = "/bin/bash"});
}

}  // namespace

TEST_CASE("cli: - is standard input and output, and pipes serve as files, for every command") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string data = " --data '" + made.tones + "' ", clip = "'" + made.tones + "/1_ann_0.wav'";
  const auto same = [&](const std::string& one, const std::string& other) {
    CAPTURE(one);
    const ProgramRun a = shell("cd '" + folder.text() + "'\n" + one),
                     b = shell("cd '" + folder.text() + "'\n" + other);
    CAPTURE(a.err);
    CAPTURE(b.err);
    CHECK(a.status == 0);
    CHECK(b.status == 0);
    CHECK(!a.out.empty());
    const bool equal = a.out == b.out;
    CHECK(equal);
  };
  const std::string model = "'" + made.model + "'", recipe = "'" + made.recipe + "'";
  const std::string train = "lariat train - --quiet --seed 1" + data;
  same(train + "--out - <" + recipe, train + "--out m <" + recipe + " >log; cat m");
  same(train + "--out >(cat >p) <" + recipe + " >log; while ! test -s p; do sleep .1; done; sleep .3; cat p",
       "cat m");
  same("mkfifo f; cat f >q & " + train + "--out f <" + recipe + " >log; wait; cat q", "cat m");
  same("lariat inspect m --json - | grep -v -e '\"bytes\": [0-9]*,$' -e '\"file\"'",
       "cat m | lariat inspect - --json - | grep -v -e '\"bytes\": [0-9]*,$' -e '\"file\"'");
  same("lariat evaluate m" + data + "| grep -v time", "cat m | lariat evaluate -" + data + "| grep -v time");
  same("lariat recognize m " + clip + " | grep -o '[0-9.]*%'",
       "cat m | lariat recognize - " + clip + " | grep -o '[0-9.]*%'");
  same("lariat recognize m - <" + clip + " | grep -o '[0-9.]*%'",
       "lariat recognize m " + clip + " | grep -o '[0-9.]*%'");
  same("lariat features - --out - <" + clip, "lariat features " + clip + " --out a.csv >log; cat a.csv");
  same("lariat features " + clip + " --out - --format npy",
       "lariat features " + clip + " --out a.npy >log; cat a.npy");
  same("lariat graph - --dot -" + data + " <" + recipe,
       "lariat graph " + recipe + " --dot d" + data + ">log; cat d");
  same("printf '1 1:2 2:1\\n-1 1:1 2:4\\n' | lariat solve --data - --out - --quiet",
       "printf '1 1:2 2:1\\n-1 1:1 2:4\\n' >r; lariat solve --data r --out w --quiet >log; cat w");
  // What standard output leads to is written to, not replaced, and a reader that goes away is no failure.
  same("(echo before; lariat features " + clip + " --out /dev/stdout) >o; cat o", "echo before; cat a.csv");
  same("lariat features " + clip + " --out - | head -1", "head -1 a.csv");
  CHECK_FALSE(std::filesystem::exists(folder / "-"));
  CHECK_FALSE(std::filesystem::exists("/dev/stdout.checkpoint"));

  const ProgramRun twice = run_lariat({"features", made.tones + "/1_ann_0.wav", "--out", "-", "--json", "-"});
  CHECK(twice.status == 2);
  CHECK(twice.err == "lariat features: standard output is asked for twice; give each output its own name\n");
  const ProgramRun both = run_lariat({"recognize", "-", "-"});
  CHECK(both.status == 2);
  CHECK(both.err == "lariat recognize: standard input is named twice; it can be read once\n");
}

TEST_CASE("cli: names out of a file do not move or colour what a terminal shows") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "m\x1b[31m.safetensors";
  lariat::Sequential model{lariat::Dense(0)};
  model.build(
      {false,
       2,
       {"\x1b]0;title\x07 red", "\xc2\x9b\x32J gr\xc3\xbcn", "tab\there", "\xe2\x80\xaetfel\xe2\x81\xa9"}});
  model.save(file);
  const auto clean = [](const std::string& text) {
    for (size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      CHECK((byte >= 0x20 || byte == '\n' || byte == '\t'));
      CHECK_FALSE((byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0));
    }
    CHECK_FALSE(contains(text, "\xe2\x80\xae"));
    CHECK_FALSE(contains(text, "\xe2\x81\xa9"));
  };
  const ProgramRun shown = run_lariat({"inspect", file});
  CHECK(shown.status == 0);
  CHECK(shown.out.find("m\\x1b[31m.safetensors: ") ==
        shown.out.rfind('/', shown.out.find(".safetensors")) + 1);
  clean(shown.out + shown.err);
  const ProgramRun json = run_lariat({"inspect", file, "--json", "-"});
  clean(json.out);
  CHECK(nlohmann::json::parse(json.out)["classes"][3] == "\xe2\x80\xaetfel\xe2\x81\xa9");
  write_file(folder / "rows.csv",
             "a,\xe2\x80\xae"
             "b\n1,2\n");
  const ProgramRun reordered = run_lariat({"predict", file, folder / "rows.csv"});
  clean(reordered.err);
  const ProgramRun unknown = run_lariat({"\xe2\x80\xaenia\xe2\x81\xa9rt"});
  CHECK(contains(unknown.err, "there is no command '\\u202enia\\u2069rt'"));
  // A store with names of that kind.
  Store store = Store::load(file);
  store.set("dense_1/\x1b[2J", lariat::Tensor::scalar(1));
  store.metadata()["classes"] = "[\"\x1b[31m\", \"b\"]";
  CHECK_NOTHROW(store.save(file));
  const ProgramRun refused = run_lariat({"inspect", file});
  CHECK(refused.status == 2);
  clean(refused.err);
}

TEST_CASE("cli: evaluate reads no folder that a model names") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const ProgramRun run = run_lariat({"evaluate", made.model});
  CHECK(run.status == 2);
  CHECK(run.err ==
        "lariat: there are no data to measure '" + made.model + "' on; give their folder with --data\n");
}

TEST_CASE(
    "cli: SIGHUP stops a training as SIGTERM does, unless it is ignored; a demo that fails leaves nothing") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run =
      shell("cd '" + folder.text() + "'\nenv --default-signal=HUP \"$LARIAT_PROGRAM\" train '" + made.recipe +
            "' --data '" + made.tones +
            "' --set training.epochs=100000 --out m 2>err >log & child=$!\n"
            "while ! grep -qs epoch err; do sleep .05; done\nkill -HUP $child\n"
            "wait $child && exit 9\nls\nls | wc -l");
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(run.out == "err\nlog\nm.checkpoint\n3\n");
  CHECK(read_file(folder / "err").find("to go on: lariat train") != std::string::npos);
  const ProgramRun ignored =
      shell("cd '" + folder.text() + "'\ntrap '' HUP\n\"$LARIAT_PROGRAM\" train '" + made.recipe +
            "' --data '" + made.tones +
            "' --out n 2>err >log & child=$!\n"
            "while ! grep -qs epoch err; do sleep .05; done\nkill -HUP $child || true\n"
            "wait $child\ntest -s n");
  CHECK(ignored.status == 0);
  const ProgramRun demo =
      run_lariat({"demo", "--out", folder / "a/b"}, {.environment = {{"PATH", "/nowhere"}}});
  CHECK(demo.status == 2);
  CHECK_FALSE(std::filesystem::exists(folder / "a"));
}

}  // namespace lariat::cli_streams_test
