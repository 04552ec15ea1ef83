#include "frontends/cli/shell.hpp"

#include <algorithm>

namespace lariat::cli {

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-+./=:,@%") == std::string::npos;
  if (plain) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

std::string command_again(const std::string& command, const std::vector<std::string>& words,
                          const std::string& without, const std::string& more) {
  std::string text = command;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!without.empty() && words[i] == without) {
      ++i;
    } else if (without.empty() || !words[i].starts_with(without + "=")) {
      text += " " + quoted(words[i]);
    }
  }
  return std::find(words.begin(), words.end(), more) == words.end() ? text + " " + more : text;
}

}  // namespace lariat::cli
