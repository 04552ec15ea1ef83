#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ranks/sum/shard_tree.hpp"
#include "graph/ranks/sum/tree_sum.hpp"
#include "ops/ops.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/support/testing.hpp"

namespace lariat::micro_shards_test {

namespace {

constexpr int64_t rows = 37, inputs = 9, hidden = 16;

Tensor numbers(Extents extents, double offset) {
  Tensor tensor(f32, std::move(extents));
  for (int64_t i = 0; i < tensor.count(); ++i)
    tensor.data<float>()[i] = static_cast<float>(std::sin(offset + 0.7 * static_cast<double>(i)));
  return tensor;
}

Tensor rows_of(const Tensor& tensor, int64_t begin, int64_t end) {
  const int64_t width = tensor.count() / tensor.extents()[0];
  Extents extents = tensor.extents();
  extents[0] = end - begin;
  return Tensor::of<float>(
      extents, std::span(tensor.data<float>() + begin * width, static_cast<size_t>((end - begin) * width)));
}

// A network with all that could differ from rank to rank: dropout, statistics of batches, a penalty that
// makes zeros.
struct Model {
  Graph g;
  Value x = g.input("x", {dim::batch, inputs}), y = g.input("y", {dim::batch, 1});
  Value w = g.parameter("w", {inputs, hidden}), v = g.parameter("v", {hidden, 1});
  Value mean_state = g.state("running_mean", {hidden});
  Value loss;

  Model() {
    const Value h = matmul(x, w);
    const Value batch_mean = mean(h, {0});
    g.update("running_mean", 0.9 * mean_state + 0.1 * batch_mean);
    const Value out = matmul(dropout(tanh(h - batch_mean), 0.3), v);
    loss = mean(square(out - y)) + 0.02 * sum(abs(w));
  }
};

TrainerOptions options(int64_t shards, std::shared_ptr<Ranks> ranks, int threads) {
  TrainerOptions result{.seed = 3, .threads = threads};
  result.clip_norm = 0.5;
  result.settle_from = 6;
  result.micro_shards = shards;
  result.ranks = std::move(ranks);
  result.warn = [](const std::string&) {};
  return result;
}

struct Outcome {
  uint64_t hash = 0;
  double loss = 0;
  Sparsity zeros;
  Traffic traffic;
};

Outcome train(int64_t shards, int64_t examples, std::shared_ptr<Ranks> ranks, int threads, int steps = 12) {
  Model model;
  Trainer trainer(model.loss, Adam{.learning_rate = 0.05}, options(shards, ranks, threads));
  Outcome outcome;
  for (int step = 0; step < steps; ++step) {
    const Tensor x = numbers({examples, inputs}, step), y = numbers({examples, 1}, 2.0 * step);
    const auto begin = [&](int64_t shard) { return (shard * examples + shards - 1) / shards; };
    std::vector<double> shares;
    for (int64_t i = 0; i < shards; ++i)
      shares.push_back(static_cast<double>(begin(i + 1) - begin(i)) / static_cast<double>(examples));
    const FeedsList parts(static_cast<size_t>(shards), [&](size_t i) {
      const auto shard = static_cast<int64_t>(i);
      return Feeds{{"x", rows_of(x, begin(shard), begin(shard + 1))},
                   {"y", rows_of(y, begin(shard), begin(shard + 1))}};
    });
    outcome.loss = trainer.step(parts, shares).loss;
  }
  outcome.hash = trainer.store().hash();
  outcome.zeros = sparsity(trainer.value(model.w));
  if (ranks) outcome.traffic = ranks->traffic();
  return outcome;
}

}  // namespace

TEST_CASE(
    "micro-shards: the same bits for any number of ranks and threads, with L1, clipping, dropout, "
    "statistics") {
  const Outcome alone = train(8, rows, nullptr, 1);
  CHECK(alone.zeros.zeros > 20);
  CHECK(std::isfinite(alone.loss));
  CHECK(train(8, rows, nullptr, 2).hash == alone.hash);
  for (const int size : {1, 2, 3, 4, 8})
    for (const int threads : {1, 2}) {
      CAPTURE(size);
      CAPTURE(threads);
      std::vector<Outcome> outcomes(static_cast<size_t>(size));
      const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
        outcomes[static_cast<size_t>(ranks->rank())] = train(8, rows, ranks, threads);
      });
      for (int rank = 0; rank < size; ++rank) {
        CHECK(failures[static_cast<size_t>(rank)] == "");
        CHECK(outcomes[static_cast<size_t>(rank)].hash == alone.hash);
        CHECK(outcomes[static_cast<size_t>(rank)].loss == alone.loss);
        if (size > 1) CHECK(outcomes[static_cast<size_t>(rank)].traffic.sum_bytes > 0);
      }
    }
}

TEST_CASE("micro-shards: numbers of shards that are no powers of two, and batches smaller than they are") {
  for (const auto& [shards, examples] :
       std::vector<std::pair<int64_t, int64_t>>{{5, 37}, {7, 3}, {8, 5}, {1, 4}}) {
    CAPTURE(shards);
    const Outcome alone = train(shards, examples, nullptr, 1, 8);
    for (int size = 1; size <= shards; ++size) {
      CAPTURE(size);
      std::vector<uint64_t> hashes(static_cast<size_t>(size));
      const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
        hashes[static_cast<size_t>(ranks->rank())] = train(shards, examples, ranks, 1, 8).hash;
      });
      for (int rank = 0; rank < size; ++rank) {
        CHECK(failures[static_cast<size_t>(rank)] == "");
        CHECK(hashes[static_cast<size_t>(rank)] == alone.hash);
      }
    }
  }
}

TEST_CASE("ranks as threads: messages of one tag come in the order in which they were asked for") {
  auto transports = thread_transports(2);
  int first = 0, second = 0;
  const auto one = transports[0]->receive(1, 20, &first, sizeof first);
  const auto two = transports[0]->receive(Transport::anyone, 20, &second, sizeof second);
  for (const int number : {7, 8}) transports[1]->send(0, 20, &number, sizeof number);
  // Whichever is looked at first.
  CHECK_FALSE(transports[0]->over(two));
  CHECK(transports[0]->over(one));
  CHECK(transports[0]->over(two));
  CHECK(first == 7);
  CHECK(second == 8);
}

TEST_CASE("shard tree: three ranks of eight shards exchange partial sums of whole subtrees") {
  const ShardTree tree(std::vector<bool>(8, true), 3);
  // Rank 0 has 0 and 1, rank 1 2 to 4, rank 2 5 to 7: sums of one subtree, and of two.
  CHECK(ShardTree::first_shard(8, 3, 1) == 2);
  CHECK(ShardTree::first_shard(8, 3, 2) == 5);
  CHECK(tree.pieces(0) == 1);
  CHECK(tree.pieces(1) == 2);
  CHECK(tree.pieces(2) == 2);
  CHECK(tree.program() == std::vector<int>{0, 1, -1, 2, 3, -1, 4, -1, -1});
  CHECK(tree.merges(1) == 1);
  CHECK(tree.merges(3) == 1);
  CHECK(tree.merges(5) == 0);
  CHECK(tree.merges(7) == 1);
  // Of one rank all sums are its own; shards that are not there are in none.
  const ShardTree alone({true, false, true, true, false}, 1);
  CHECK(alone.pieces(0) == 1);
  CHECK(alone.merges(2) == 0);
  CHECK(alone.merges(3) == 2);
}

TEST_CASE(
    "tree sum: a tensor that goes in parts comes to the bits of one rank, with elements left out and "
    "without") {
  constexpr int64_t shards = 5, count = 450'001;  // of three ranks' parts one and a bit
  const auto values = [](int64_t shard) { return numbers({count}, static_cast<double>(shard)); };
  Tensor left_out(f32, {count});
  for (int64_t i = 0; i < count; ++i) left_out.data<float>()[i] = i % 3 == 0 || i > 440'000 ? 0.0F : 1.0F;
  const TensorView zeros = left_out.view();
  const auto run = [&](const std::shared_ptr<Ranks>& ranks, std::span<const TensorView> without) {
    TreeSum sum(ranks, shards);
    sum.set_buckets({{f32, {"w"}, {count}}, {f32, {"b", "c"}, {3, 2}}});
    Tensor result(f32, {count}), c(f32, {2});
    std::vector<Tensor> given;  // of a rank's only shard, they stay until their sums are taken
    // Twice: memory is used again.
    for (int step = 0; step < 2; ++step) {
      sum.begin(std::vector<bool>(shards, true));
      for (const int64_t shard : sum.own_shards()) {
        sum.at_shard(shard);
        for (const Tensor& tensor :
             {values(shard), numbers({3}, 1), numbers({2}, static_cast<double>(shard))})
          given.push_back(tensor);
        const size_t first = given.size() - 3;
        const TensorView view = given[first].view(),
                         small[] = {given[first + 1].view(), given[first + 2].view()};
        sum.give(0, {&view, 1}, without);
        sum.give(1, small, {});
      }
      sum.take(1, 1, c.view());
      sum.take(0, 0, result.view());
      sum.end();
    }
    const Tensor last = Tensor::of<float>({1}, std::span(c.data<float>(), 1));
    return std::pair(result, last);
  };
  for (const std::span<const TensorView> without : {std::span<const TensorView>(), std::span(&zeros, 1)}) {
    const auto [expected, small] = run(nullptr, without);
    for (const int64_t i : {int64_t{0}, int64_t{3}, int64_t{393'216}, count - 1}) {
      double sum = 0;
      for (int64_t shard = 0; shard < shards; ++shard) sum += values(shard).at(i);
      CHECK(expected.at(i) == doctest::Approx(sum));
    }
    CHECK(expected.at(1) == (without.empty()
                                 ? doctest::Approx(values(0).at(1) + values(1).at(1) + values(2).at(1) +
                                                   values(3).at(1) + values(4).at(1))
                                 : doctest::Approx(0)));
    for (const int size : {2, 3, 5}) {
      CAPTURE(size);
      std::vector<char> same(static_cast<size_t>(size));
      const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
        const auto [result, last] = run(ranks, without);
        same[static_cast<size_t>(ranks->rank())] =
            std::memcmp(result.data<float>(), expected.data<float>(), expected.view().bytes()) == 0 &&
            last.at(0) == small.at(0);
      });
      CHECK(failures == std::vector<std::string>(static_cast<size_t>(size)));
      CHECK(std::count(same.begin(), same.end(), 1) == size);
    }
  }
}

TEST_CASE("micro-shards: the gradient is that of the whole batch but for rounding") {
  Graph g;
  const Value x = g.input("x", {dim::batch, inputs}), w = g.parameter("w", {inputs, 3}),
              b = g.parameter("b", {3});
  const Value loss = mean(square(matmul(x, w) + b)) + 0.01 * sum(abs(w));
  TrainerOptions plain{.seed = 1, .threads = 1}, cut = plain;
  cut.micro_shards = 4;
  Trainer whole(loss, Sgd{.learning_rate = 0.1}, plain), shards(loss, Sgd{.learning_rate = 0.1}, cut);
  const Tensor data = numbers({16, inputs}, 1);
  for (int step = 0; step < 5; ++step) {
    const StepResult expected = whole.step(Feeds{{"x", data}});
    const FeedsList parts(4, [&](size_t i) {
      return Feeds{{"x", rows_of(data, static_cast<int64_t>(i) * 4, static_cast<int64_t>(i) * 4 + 4)}};
    });
    const double quarter[] = {0.25, 0.25, 0.25, 0.25};
    const StepResult result = shards.step(parts, quarter);
    CHECK(result.loss == doctest::Approx(expected.loss).epsilon(1e-5));
    CHECK(result.penalty == doctest::Approx(expected.penalty).epsilon(1e-5));
  }
  const Tensor a = whole.value(w), c = shards.value(w);
  for (int64_t i = 0; i < a.count(); ++i) CHECK(c.at(i) == doctest::Approx(a.at(i)).epsilon(1e-4).scale(0.1));
}

TEST_CASE("tree sum: large and small tensors, taken in place or elsewhere, have the bits of one process") {
  // Below, each rank adds up everything; then a range; then a range of each part.
  for (const int64_t count : {int64_t{7}, int64_t{30'001}, int64_t{1'700'003}}) {
    CAPTURE(count);
    const auto run = [&](const std::shared_ptr<Ranks>& ranks, bool in_place, bool leaves_out) {
      TreeSum sum(ranks, 4);
      sum.set_buckets({{f32, {"values"}, {count}}});
      Tensor left_out(f32, {count});
      for (int64_t i = 0; i < count; ++i) left_out.data<float>()[i] = i % 50 == 3 ? 0.0F : 1.0F;
      const TensorView zeros = left_out.view();
      uint64_t hash = 0;
      for (int step = 0; step < 3; ++step) {
        std::vector<bool> present(4, true);
        present[static_cast<size_t>(step)] = false;
        sum.begin(present);
        Tensor values(f32, {count}), elsewhere(f32, {count});
        const auto give = [&] {
          const TensorView view = values.view();
          sum.give(0, {&view, 1}, {&zeros, leaves_out ? size_t{1} : size_t{0}});
        };
        for (const int64_t shard : sum.own_shards()) {
          sum.at_shard(shard);
          values = numbers({count}, static_cast<double>(3 * shard + step));
          give();
        }
        if (sum.own_shards().empty()) {
          sum.at_shard(std::nullopt);
          give();
        }
        const Tensor& into = in_place ? values : elsewhere;
        sum.take(0, 0, into.view());
        sum.end();
        hash = hash_words(into.data<float>(), static_cast<size_t>(count) * sizeof(float), hash);
      }
      return hash;
    };
    for (const bool leaves_out : {false, true}) {
      CAPTURE(leaves_out);
      const uint64_t alone = run(nullptr, false, leaves_out);
      CHECK(run(nullptr, true, leaves_out) == alone);
      for (const int size : {2, 3, 4})
        for (const bool in_place : {false, true}) {
          CAPTURE(size);
          CAPTURE(in_place);
          std::vector<uint64_t> hashes(static_cast<size_t>(size));
          const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
            hashes[static_cast<size_t>(ranks->rank())] = run(ranks, in_place, leaves_out);
          });
          CHECK(failures == std::vector<std::string>(static_cast<size_t>(size)));
          CHECK(hashes == std::vector<uint64_t>(static_cast<size_t>(size), alone));
        }
    }
  }
}

TEST_CASE("micro-shards: zeros that stay cost no traffic") {
  std::vector<Traffic> before(2), after(2);
  const auto failures = on_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    const auto place = static_cast<size_t>(ranks->rank());
    before[place] = train(8, rows, ranks, 1, 6).traffic;
    after[place] = train(8, rows, ranks, 1, 12).traffic;
  });
  CHECK(failures == std::vector<std::string>{"", ""});
  CHECK(before[0].sum_bytes == before[0].dense_bytes);
  const int64_t later = after[0].sum_bytes - 2 * before[0].sum_bytes,
                dense = after[0].dense_bytes - 2 * before[0].dense_bytes;
  CHECK(later < dense);
}

TEST_CASE("micro-shards: gradients that are zero on all ranks are not sent") {
  constexpr int64_t wide = 512, units = 256;
  // Of the inputs, every fourth shard sees other ones, and most are seen by none.
  const auto run = [&](const std::shared_ptr<Ranks>& ranks) {
    Graph g;
    const Value x = g.input("x", {dim::batch, wide}), w = g.parameter("w", {wide, units});
    const Value loss = mean(square(tanh(matmul(x, w))));
    TrainerOptions with{.seed = 2, .threads = 1};
    with.micro_shards = 4;
    with.ranks = ranks;
    Trainer trainer(loss, Sgd{.learning_rate = 0.5}, with);
    for (int step = 0; step < 4; ++step) {
      const FeedsList parts(4, [&](size_t i) {
        Tensor rows(f32, {4, wide});
        for (int64_t row = 0; row < 4; ++row)
          for (int64_t k = 0; k < 8; ++k)
            rows.data<float>()[row * wide + 40 * step + 8 * static_cast<int64_t>(i) + k] =
                0.1F * static_cast<float>(k + row - 2);
        return Feeds{{"x", rows}};
      });
      const double quarter[] = {0.25, 0.25, 0.25, 0.25};
      trainer.step(parts, quarter);
    }
    return trainer.store().hash();
  };
  const uint64_t alone = run(nullptr);
  for (const int size : {2, 3, 4}) {
    CAPTURE(size);
    std::vector<uint64_t> hashes(static_cast<size_t>(size));
    std::vector<Traffic> traffic(static_cast<size_t>(size));
    const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
      const auto place = static_cast<size_t>(ranks->rank());
      hashes[place] = run(ranks);
      traffic[place] = ranks->traffic();
    });
    for (size_t rank = 0; rank < hashes.size(); ++rank) {
      CHECK(failures[rank] == "");
      CHECK(hashes[rank] == alone);
      CHECK(traffic[rank].sum_bytes < traffic[rank].dense_bytes / 8);
    }
  }
}

TEST_CASE("micro-shards: what goes wrong on one rank ends all of them with one line") {
  const auto one_says = [](const std::vector<std::string>& failures) {
    std::string said;
    for (const std::string& failure : failures) {
      CHECK(failure != "");
      if (failure.starts_with("says: ")) {
        CHECK(said == "");
        said = failure.substr(6);
      }
    }
    return said;
  };
  CHECK(one_says(on_ranks(3, [](const std::shared_ptr<Ranks>& ranks) { train(2, rows, ranks, 1); })) ==
        "micro_shards = 2: fewer than the 3 ranks; start at most 2 ranks, or cut batches into more "
        "micro-shards");
  // Rank 0 says so, who finds it last.
  const std::vector<std::string> refused = on_ranks(3, [](const std::shared_ptr<Ranks>& ranks) {
    if (ranks->rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    TreeSum(ranks, 2);
  });
  CHECK(refused[0].starts_with("says: micro_shards = 2: fewer than the 3 ranks; "));
  CHECK_FALSE(refused[1].starts_with("says: "));
  CHECK_FALSE(refused[2].starts_with("says: "));
  const std::string nan = one_says(on_ranks(3, [](const std::shared_ptr<Ranks>& ranks) {
    Model model;
    Trainer trainer(model.loss, Sgd{.learning_rate = 0.1}, options(3, ranks, 1));
    const FeedsList parts(3, [&](size_t i) {
      Tensor x = numbers({4, inputs}, static_cast<double>(i));
      if (i == 1) x.data<float>()[5] = NAN;
      return Feeds{{"x", x}, {"y", numbers({4, 1}, 1)}};
    });
    const double shares[] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    trainer.step(parts, shares);
  }));
  CHECK(nan.starts_with("diverged at step 1: the loss is nan: [input] 'x'"));
  CHECK(one_says(on_ranks(3, [](const std::shared_ptr<Ranks>& ranks) {
          ranks->agree({{"another recipe", ranks->rank() == 2 ? "epochs 3\nrate 2" : "epochs 3\nrate 1"}});
        })) == "rank 2 has another recipe than rank 0: rate 2 and rate 1; give every rank the same");
  CHECK(one_says(on_ranks(2, [](const std::shared_ptr<Ranks>& ranks) {
          Model model;
          TrainerOptions none = options(0, ranks, 1);
          Trainer trainer(model.loss, Sgd{}, none);
        })) == "2 ranks are to train together; set micro_shards, such as 8, for what each computes");
}

TEST_CASE("ranks: one that shows no sign of life is named, with what was waited for") {
  auto transports = thread_transports(2);
  Ranks silent(std::move(transports[1]), {.pulses = false});
  Ranks waiting(std::move(transports[0]), {.limit_seconds = 0.5});
  waiting.at("step 7");
  std::string why;
  try {
    waiting.gather("x", "the gradient of 'w'");
  } catch (const UserError& error) {
    why = error.what();
  }
  CHECK(why ==
        "rank 1 has shown no sign of life for 0.5 s, at step 7, while rank 0 waited for the gradient of 'w'; "
        "see that "
        "its process and its host still run, and go on from the last checkpoint");
}

}  // namespace lariat::micro_shards_test
