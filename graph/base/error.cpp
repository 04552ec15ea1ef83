#include "graph/base/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace lariat {

void require(bool condition, std::string_view what) {
  if (!condition) throw InternalError(fmt::format("internal fault: {}", what));
}

namespace {

// Levenshtein distance, one row at a time.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// How many characters the two share at their ends: tells apart names at equal distance.
size_t shared_ends(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  size_t front = 0, back = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  return front + back;
}

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

std::string nearest_name(std::string_view wanted, std::span<const std::string> known) {
  const std::string sought = in_lower_case(wanted);
  std::string nearest;
  size_t best = std::max<size_t>(2, wanted.size() / 3) + 1, shared = 0;
  for (const std::string& known_name : known) {
    const size_t longer = std::max(wanted.size(), known_name.size());
    // No closer than the lengths are apart; a name out of a damaged file may be very long.
    if (longer - std::min(wanted.size(), known_name.size()) > best) continue;
    const std::string name = in_lower_case(known_name);
    const size_t distance = edit_distance(sought, name), ends = shared_ends(sought, name);
    if (distance >= longer && longer > 0) continue;  // nothing in common
    if (distance < best || (distance == best && !nearest.empty() && ends > shared)) {
      best = distance;
      shared = ends;
      nearest = known_name;
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view wanted, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(wanted, known);
  if (!nearest.empty()) return fmt::format(" Did you mean '{}'?", nearest);
  if (known.empty()) return "";
  return fmt::format(" Known: {}.", fmt::join(known, ", "));
}

}  // namespace lariat
