#!/usr/bin/env bash
# Pages of what headers declare, in FOLDER/reference, of a build folder: fails with what Doxygen warns of.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
{
  cat docs/Doxyfile
  printf 'OUTPUT_DIRECTORY = %s/reference\nINCLUDE_PATH = %s\n' "$folder" "$folder"
} | doxygen -
