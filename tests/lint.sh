#!/usr/bin/env bash
# Formatting, the rules of the house (rooms.py), what Doxygen says of headers, and warnings as errors: each file by itself, without the precompiled
# header that hides what it forgets to include; benchmarks too, where the folder that is given builds them; none of this with
# --rules behind it. `./run lint` has configured it.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$1
failed=0
say() { echo "lint: $1" >&2; failed=1; }

mapfile -t files < <(git ls-files '*.cpp' '*.hpp')
clang-format --dry-run --Werror "${files[@]}" || say "formatting differs; run clang-format -i on the files above"

tests/rooms.py || failed=1
tests/reference.sh "$folder" || say "Doxygen warns"
python3 benchmarks/figures.py --check || say "the tables of the docs are not those of docs/bench*.json; run benchmarks/figures.py"
tests/mutations.sh --check || failed=1
tests/races.sh --check || failed=1

# As the compiler is called, but for what it writes.
[ "${2:-}" = --rules ] || python3 - "$folder" <<'PYTHON' | xargs -d '\n' -P "$(nproc)" -I {} sh -c "cd $folder && {}" || say "the compiler warns"
import json
import sys
for entry in json.load(open(sys.argv[1] + '/compile_commands.json')):
    words = entry['command'].split()
    place = words.index('-o')
    del words[place:place + 2]
    print(' '.join(words).replace('ccache ', '') + ' -fsyntax-only -Werror')
PYTHON

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
