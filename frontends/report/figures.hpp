#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat::reports {

// Figures as people read them.

/// The text cut to `width` columns, "…" at the end of what was cut. UTF-8 sequences count as one column.
std::string fitted(std::string_view text, size_t width);
/// The same with "…" in the middle, for names that may differ at their ends alone.
std::string shortened(std::string_view text, size_t width);
/// How many columns a text takes: one for each character of UTF-8.
size_t columns_of(std::string_view text);

/// "1,234,567".
std::string grouped(int64_t number);
/// "1.2 kB", "3.4 MB".
std::string bytes_text(double bytes);
/// "850 ms", "12.3 s", "4 min 05 s".
std::string duration(double seconds);
/// "97.2%".
std::string percent(double fraction);
/// What a metric of that name is: an accuracy, be it "accuracy" or one of several outputs',
/// "digit/accuracy", in percent, and others with four digits.
std::string metric_text(std::string_view name, double value);
/// "12%", "0.3%", "0.00041%": two digits, wherever they are.
std::string small_percent(double fraction);

}  // namespace lariat::reports
