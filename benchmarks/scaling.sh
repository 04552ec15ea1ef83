#!/usr/bin/env bash
# How steps get faster by threads, on a machine where nothing can be built: `scaling.sh pack PROGRAMS FOLDER` puts the suite from
# the folder PROGRAMS, the libraries that it needs and this script into FOLDER, which then travels. `FOLDER/scaling.sh [SECONDS]`
# there measures for about so long, beside PyTorch where that machine's python3 has it and ONNX Runtime where it was packed,
# and writes scaling.json into the folder OUT, where that is set, else into FOLDER.
set -euo pipefail

CASES='^(mlp/(128|512)/(sgd|adam)|lstm/100x32x128x256(/2 layers)?|cnn/32|inference/(mlp/(64|512)|lstm/100x32x128x256|cnn))$'
here=$(dirname "$(realpath "$0")")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

pack() {
  local programs=$1 folder=$2
  mkdir -p "$root/lib" "$folder"
  for program in lariat_worker side_by_side; do
    strip -o "$root/$program.own" "$programs/$program"
    # All that the loader finds, itself too: the other machine's C library may be an older one.
    ldd "$programs/$program" | grep -oE '/[^ ]+' | xargs -I{} cp -L {} "$root/lib/"
    printf '#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/%s.own" "$@"\n' \
      "$program" >"$root/$program"
  done
  cp "$here"/workers/{worker,onnx_model,pytorch_worker,onnxruntime_worker}.py "$root"
  for worker in pytorch onnxruntime; do
    printf '#!/bin/sh\nhere=$(dirname "$0")\nONNXRUNTIME_LIBRARY=$here/libonnxruntime.so.1 exec python3 "$here/%s_worker.py" "$@"\n' \
      "$worker" >"$root/${worker}_worker"
  done
  cp "$here"/../build-peers/onnxruntime/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1 "$root" ||
    echo "scaling: ONNX Runtime is left out: './run bench --peers' fetches it" >&2
  chmod +x "$root"/{lariat_worker,side_by_side,pytorch_worker,onnxruntime_worker}
  tar -C "$root" -cJf "$folder/programs.tar.xz" .
  cp "$0" "$folder/scaling.sh"
  du -sh "$folder"
}

measure() {
  local seconds=$1
  echo "Unpacking into $root"
  tar -C "$root" -xJf "$here/programs.tar.xz" 2>/dev/null || python3 -m tarfile -e "$here/programs.tar.xz" "$root"
  # Processors alone are compared.
  CUDA_VISIBLE_DEVICES='' "$root/side_by_side" --filter "$CASES" --without-compiled --seconds $((seconds - SECONDS)) \
    --json "${OUT:-$here}/scaling.json"
  echo "Wrote ${OUT:-$here}/scaling.json"
}

case "${1:-}" in
  pack) [ $# -eq 3 ] || { echo "usage: scaling.sh pack PROGRAMS FOLDER" >&2; exit 2; }; pack "$2" "$3" ;;
  '' | [1-9]*) measure "${1:-170}" ;;
  *) echo "usage: scaling.sh pack PROGRAMS FOLDER, or scaling.sh [SECONDS]" >&2; exit 2 ;;
esac
