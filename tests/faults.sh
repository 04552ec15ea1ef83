# Faults in a copy of the sources, one at a time: what mutations.sh and races.sh share. Give FOLDER, the copy's and the
# builds', and how the tests of a fault are run, before it is read. With --check it is only looked whether what faults
# replace is there.
copy=$FOLDER/source
mkdir -p "$copy"
git ls-files | while read -r file; do
  cmp -s "$file" "$copy/$file" || cp --parents "$file" "$copy"
done
# Every source file that there is is compiled: those that have gone must go.
(cd "$copy" && find . -type f | sed 's,^\./,,') | { grep -vxFf <(git ls-files) || true; } | (cd "$copy" && xargs -r -d '\n' rm -f)
tests=$FOLDER/build/tests/lariat_tests
# LARIAT_FAULTS=K/N: of every N faults the K-th alone, so that N machines or folders share them.
part=${LARIAT_FAULTS:-1/1}
number=0
caught=0
survived=0

# build_copy [meson's options…]
build_copy() {
  # Again, for files that came or went.
  local again=()
  [ -f "$FOLDER/build/build.ninja" ] && again=(--reconfigure)
  meson setup "${again[@]}" "$FOLDER/build" "$copy" -Doptimization=1 -Dinstruction_sets=own "$@" >"$FOLDER/log" 2>&1 || { cat "$FOLDER/log" >&2; exit 1; }
  ninja -C "$FOLDER/build" --quiet tests/lariat_tests
}

# check_without_faults OPTIONS…: the tests that doctest's options choose pass.
check_without_faults() {
  "$tests" "$@" >"$FOLDER/log" 2>&1 || {
    echo "$0: the tests fail without any fault; see $FOLDER/log" >&2
    exit 1
  }
}

# fault NAME FILE FROM TO OPTIONS…: replaces the first FROM, which must be there, and runs the tests that doctest's
# options choose.
fault() {
  local name=$1 file=$2 from=$3 to=$4
  shift 4
  FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$copy/$file"
  if cmp -s "$file" "$copy/$file"; then
    echo "$0: '$from' is not in $file" >&2
    exit 1
  fi
  if [ "$only_check" = --check ]; then
    cp "$file" "$copy/$file"
    return
  fi
  number=$((number + 1))
  if [ $(((number - ${part%/*}) % ${part#*/})) -ne 0 ]; then
    cp "$file" "$copy/$file"
    return
  fi
  if ! ninja -C "$FOLDER/build" --quiet tests/lariat_tests >"$FOLDER/log" 2>&1; then
    echo "$0: '$name' does not compile; see $FOLDER/log" >&2
    exit 1
  fi
  if "$tests" "$@" >"$FOLDER/log" 2>&1; then
    echo "SURVIVED: $name ($*)"
    survived=$((survived + 1))
  else
    echo "caught: $name"
    caught=$((caught + 1))
  fi
  cp "$file" "$copy/$file"
}

count_faults() {
  [ "$only_check" = --check ] && exit 0
  echo "$caught faults caught, $survived survived"
  [ "$survived" -eq 0 ]
}
