#!/bin/sh
# link_copy.sh SET OBJECT OBJECTS...: links one instruction set's copy of the kernels into a single object. All but its
# tables becomes local, inline functions of headers too: code for one processor must not stand in for another's.
set -e
set=$1 object=$2
shift 2
ld -r --force-group-allocation -o "$object.all" "$@"
objcopy --keep-global-symbol="lariat_kernels_$set" --keep-global-symbol="lariat_analysis_$set" "$object.all" "$object"
rm "$object.all"
