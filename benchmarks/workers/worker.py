"""What the workers in Python share: the protocol (see worker.hpp), and numbers as data.hpp has them."""

import json
import math
import os
import signal
import socket
import sys
import time

LOW = 2**32 - 1


def hash_name(name):
    """FNV-1a, as graph/base/random has it."""
    result = 14695981039346656037
    for byte in name.encode():
        result = (result ^ byte) * 1099511628211 % 2**64
    return result


def units(name, count):
    """Numbers in [0, 1) that depend on the name only: Philox4x32-10 with the name's hash as its stream."""
    import numpy as np

    stream, mask = hash_name(name), np.uint64(LOW)
    counter = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [counter, np.zeros_like(counter)] + [np.full_like(counter, s) for s in (stream & LOW, stream >> 32)]
    key = [0, 0]
    for _ in range(10):
        high, low = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(low >> np.uint64(32)) ^ c[1] ^ np.uint64(key[0]), low & mask,
             (high >> np.uint64(32)) ^ c[3] ^ np.uint64(key[1]), high & mask]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & LOW, (key[1] + 0xBB67AE85) & LOW]
    bits = np.stack(c, axis=1).reshape(-1)[:count]
    return (bits >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def filled(name, *shape, scale=1.0):
    """An array of numbers in [-scale, scale)."""
    values = units(name, math.prod(shape))
    return (values.dtype.type(scale) * (2 * values - 1)).reshape(shape)


def kernel(name, inputs, outputs):
    """A kernel [inputs, outputs] with the scale of Glorot and Bengio."""
    return filled(name, inputs, outputs, scale=(6 / (inputs + outputs)) ** 0.5)


def milliseconds(run):
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


def forked():
    """The arguments of a request that came over the socket at standard input, in a child forked for it, whose
    standard input and output are the pipes that came with it. The parent takes requests until there are no more.
    """
    requests = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, pipes, _, _ = socket.recv_fds(requests, 1 << 16, 2)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.detach()
            for standard, pipe in enumerate(pipes):
                os.dup2(pipe, standard)
        for pipe in pipes:
            os.close(pipe)
        if requests.fileno() < 0:
            print("ok", os.getpid(), flush=True)
            return json.loads(text)


def serve(load, make):
    """The main function of a worker: `load()` imports what takes long and gives its version;
    `make(case, threads, setting, numbers)` gives a function that runs the case once, and one that checks.
    """
    failure = None
    try:
        version = load()
    except Exception as error:  # whatever it is, the other end of the pipe has to hear of it
        failure = error
    name, threads, setting, *numbers = forked() if sys.argv[1:] == ["fork"] else sys.argv[1:]
    try:
        if failure:
            raise failure
        run, check = make(name, int(threads), setting, json.loads(numbers[0]) if numbers else {})
        print("ok", version, flush=True)
        words = (word for line in sys.stdin for word in line.split())
        for command in words:
            times = int(next(words))
            print("ok", *(milliseconds(run) if command == "run" else check() for _ in range(times)), flush=True)
    except Exception as error:
        print("error", str(error).replace("\n", " "), flush=True)
        os._exit(2)
    os._exit(0)
