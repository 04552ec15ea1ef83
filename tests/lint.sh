#!/usr/bin/env bash
# Formatting, warnings as errors (of the benchmarks too), and the rules of the house: see rooms.py.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
say() { echo "lint: $1" >&2; failed=1; }

mapfile -t files < <(git ls-files '*.cpp' '*.hpp')
clang-format --dry-run --Werror "${files[@]}" || say "formatting differs; run clang-format -i on the files above"

tests/rooms.py || failed=1

[ -f build-lint/build.ninja ] || meson setup build-lint --werror -Db_pch=false -Dbenchmarks=true >/dev/null || exit 1
ninja -C build-lint --quiet || say "the compiler warns"

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
