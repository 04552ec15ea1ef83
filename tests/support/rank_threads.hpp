#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "graph/base/error.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

/// Runs `body` as each of `size` ranks, which are threads. What each comes to; a failure's text where it has
/// one.
template <class Body>
std::vector<std::string> on_ranks(int size, Body&& body) {
  std::vector<std::string> failures(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  auto transports = thread_transports(size);
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank, transport = std::move(transports[static_cast<size_t>(rank)])]() mutable {
      const auto ranks = std::make_shared<Ranks>(std::move(transport));
      try {
        body(ranks);
        ranks->finish();
      } catch (const Error& error) {
        const bool says = ranks->end_with(error.what());
        failures[static_cast<size_t>(rank)] = (says ? "says: " : "told: ") + std::string(error.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  return failures;
}

}  // namespace lariat
