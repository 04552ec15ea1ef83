#!/usr/bin/env bash
# Sets up what Debian 12 has no package of, in FOLDER: PyTorch 2.6 (compilers for torch.compile with it) in a root with Debian 13,
# made by debootstrap from the mirror that apt is set to here, and ONNX Runtime's library for processors, from npm's package of
# it. What is there is kept; what cannot be had is left out, and says so.
set -euo pipefail
folder=$(realpath -m "$1")
onnxruntime=onnxruntime-node@1.30.0
packages=(python3-torch python3-numpy libopenblas0-pthread g++ python3-dev python3-setuptools libtorch-dev)

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

make_root() {  # make_root ROOT
  local root=$1 mirror
  if [ ! -e "$root/usr/bin/apt-get" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    [ -n "$mirror" ] || { echo "apt is set to no mirror of Debian"; return 1; }
    as_root mkdir -p "$root"
    as_root debootstrap --variant=minbase trixie "$root" "$mirror" || { as_root rm -rf "$root"; return 1; }
  fi
  as_root cp /etc/resolv.conf "$root/etc/"
  # Mounts of a namespace of its own: nothing is left behind.
  as_root unshare --mount sh -c "mount -t proc proc '$root/proc' && mount --rbind /sys '$root/sys' &&
    DEBIAN_FRONTEND=noninteractive chroot '$root' apt-get install -y -qq --no-install-recommends ${packages[*]}" || return 1
  as_root sh -c "echo '${packages[*]}' >'$root/made'"
}

if [ "$(cat "$folder/pytorch/made" 2>/dev/null)" != "${packages[*]}" ]; then
  echo "Making a root with Debian 13's PyTorch in $folder/pytorch, some minutes"
  mkdir -p "$folder"
  make_root "$folder/pytorch" >"$folder/pytorch.log" 2>&1 ||
    echo "peers: PyTorch is left out: $(tail -n 1 "$folder/pytorch.log")" >&2
fi

if [ "$(cat "$folder/onnxruntime/made" 2>/dev/null)" != "$onnxruntime" ]; then
  echo "Fetching $onnxruntime into $folder/onnxruntime, a minute or more"
  mkdir -p "$folder/onnxruntime"
  # Its script would fetch libraries for graphics processors.
  if npm install --prefix "$folder/onnxruntime" --ignore-scripts --no-audit --no-fund "$onnxruntime" >"$folder/onnxruntime.log" 2>&1; then
    echo "$onnxruntime" >"$folder/onnxruntime/made"
  else
    echo "peers: ONNX Runtime is left out: $(tail -n 1 "$folder/onnxruntime.log")" >&2
  fi
fi
