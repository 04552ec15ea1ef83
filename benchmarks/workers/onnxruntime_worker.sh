#!/bin/sh
# The worker of ONNX Runtime, whose library peers.sh put into build-peers.
here=$(dirname "$(realpath "$0")")
for library in "$here"/../../build-peers/onnxruntime/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1; do
  [ -e "$library" ] || { echo "error './run bench --peers' fetches its library, once"; exit 2; }
done
ONNXRUNTIME_LIBRARY=$library exec /usr/bin/python3 "$here/onnxruntime_worker.py" "$@"
