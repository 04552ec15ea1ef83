#!/bin/sh
# The worker of Debian 13's PyTorch, in the root that peers.sh made in build-peers; mounts of a namespace of its own.
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../../build-peers/pytorch")
[ -e "$root/made" ] || { echo "error './run bench --peers' fetches it, once"; exit 2; }
[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=OMP_NUM_THREADS,OPENBLAS_NUM_THREADS,OMP_WAIT_POLICY,OPENBLAS_CORETYPE,ONEDNN_MAX_CPU_ISA,ATEN_CPU_CAPABILITY \
  "$0" "$@"
exec unshare --mount sh -c 'mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --rbind /dev "$0/dev" &&
  mount --bind "$1" "$0/mnt" && root=$0 && shift && exec chroot "$root" /usr/bin/python3 /mnt/pytorch_worker.py "$@"' "$root" "$here" "$@"
