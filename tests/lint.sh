#!/usr/bin/env bash
# Formatting, warnings as errors (of the benchmarks too), and the layering rule: frontends → autodiff → ops → graph, nothing upwards.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
say() { echo "lint: $1" >&2; failed=1; }

mapfile -t files < <(git ls-files '*.cpp' '*.hpp')
clang-format --dry-run --Werror "${files[@]}" || say "formatting differs; run clang-format -i on the files above"

forbid() {  # forbid FLOOR UPPER…: files of FLOOR include nothing of the floors above
  local floor=$1 above
  shift
  for above in "$@"; do
    grep -rnE "^#include \"$above/" "$floor" --include='*.cpp' --include='*.hpp' --include='*.inc' && say "$floor/ includes $above/, which lies above it"
  done
}
forbid graph ops autodiff frontends
forbid ops autodiff frontends
forbid autodiff frontends
forbid frontends/data frontends/speech frontends/sequential frontends/recipe frontends/cli
forbid frontends/speech frontends/sequential frontends/recipe frontends/cli
forbid frontends/sequential frontends/recipe frontends/cli
forbid frontends/recipe frontends/cli

[ -f build-lint/build.ninja ] || meson setup build-lint --werror -Db_pch=false -Dbenchmarks=true >/dev/null || exit 1
ninja -C build-lint --quiet || say "the compiler warns"

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
