#!/usr/bin/env bash
# How steps get faster by threads, on a machine where nothing can be built: `scaling.sh pack WORKER FOLDER` puts the worker,
# the libraries that it needs and this script into FOLDER, which then travels; `FOLDER/scaling.sh measure [MOST THREADS]
# >FILE.json` runs there. Numbers of threads take turns; a figure is the median of its rounds.
set -euo pipefail

CASES=(mlp/128/adam mlp/512/adam lstm/100x32x128x256 "lstm/100x32x128x256/2 layers" cnn/32)
ROUNDS=${ROUNDS:-7}

pack() {
  local worker=$1 folder=$2
  mkdir -p "$folder/lib"
  cp "$worker" "$folder/lariat_worker"
  cp "$0" "$folder/scaling.sh"
  # All that the loader finds, itself too: the other machine's C library may be an older one.
  ldd "$worker" | grep -oE '/[^ ]+' | xargs -I{} cp -L {} "$folder/lib/"
}

milliseconds() {  # milliseconds CASE THREADS RUNS: the median of some runs behind others that warm up
  printf 'run %s\nrun %s\n' "$3" "$3" |
    OPENBLAS_NUM_THREADS=1 "$here"/lib/ld-linux-x86-64.so.2 --library-path "$here/lib" "$here/lariat_worker" "$1" "$2" default |
    tail -n 1 | tr ' ' '\n' | grep -E '^[0-9]' | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

measure() {
  local most=${1:-$(nproc)} counts=() count case
  for ((count = 1; count < most; count *= 2)); do counts+=("$count"); done
  counts+=("$most")
  echo '{'
  echo "  \"processor\": \"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)\", \"processors\": $(nproc),"
  echo '  "cases": ['
  for case in "${CASES[@]}"; do
    local figures=
    declare -A samples=()
    for ((round = 0; round < ROUNDS; ++round)); do
      for count in "${counts[@]}"; do
        samples[$count]+="$(milliseconds "$case" "$count" 10) "
      done
    done
    for count in "${counts[@]}"; do
      figures+="${figures:+, }\"$count\": $(tr ' ' '\n' <<<"${samples[$count]}" | grep . | sort -g |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')"
    done
    echo "    {\"name\": \"$case\", \"ms\": {$figures}}$([ "$case" = "${CASES[-1]}" ] || echo ,)"
  done
  echo '  ]'
  echo '}'
}

here=$(dirname "$(realpath "$0")")
case "${1:-}" in
  pack) [ $# -eq 3 ] || { echo "usage: scaling.sh pack WORKER FOLDER" >&2; exit 2; }; pack "$2" "$3" ;;
  measure) measure "${2:-}" ;;
  *) echo "usage: scaling.sh pack WORKER FOLDER, or scaling.sh measure [MOST THREADS]" >&2; exit 2 ;;
esac
