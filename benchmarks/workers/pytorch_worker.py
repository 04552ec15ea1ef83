#!/usr/bin/python3
"""The cases in PyTorch as its users write them: a worker (see worker.hpp), for Debian 13's own Python."""

import json
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
    values = np.float32(scale) * (2 * units(name, int(np.prod(shape))) - 1)
    return torch.from_numpy(values.reshape(shape))


def kernel(name, inputs, outputs):
    """A kernel [inputs, outputs] with the scale of Glorot and Bengio, as torch keeps it."""
    return filled(name, inputs, outputs, scale=(6 / (inputs + outputs)) ** 0.5).T


def dense(name, inputs, outputs):
    layer = torch.nn.Linear(inputs, outputs)
    layer.weight.data.copy_(kernel(name, inputs, outputs))
    layer.bias.data.zero_()
    return layer


def set_recurrent(layer, suffix, name, inputs, width):
    """One bias, as in the other side's formula: torch's second one stays zero."""
    parameters = dict(layer.named_parameters())
    parameters["weight_ih" + suffix].data.copy_(kernel(name + "/input_kernel", inputs, 4 * width))
    parameters["weight_hh" + suffix].data.copy_(kernel(name + "/recurrent_kernel", width, 4 * width))
    parameters["bias_ih" + suffix].data.zero_()
    parameters["bias_hh" + suffix].data.zero_()
    parameters["bias_hh" + suffix].requires_grad_(False)


def make_mlp(c):
    relu = torch.nn.ReLU
    return torch.nn.Sequential(
        dense("dense1/kernel", c["inputs"], c["units"]), relu(),
        dense("dense2/kernel", c["units"], c["units"]), relu(),
        dense("dense3/kernel", c["units"], c["classes"]),
    )  # fmt: skip


def make_lstm(c):
    both = c["model"] == "bidirectional_lstm"
    lstm = torch.nn.LSTM(c["inputs"], c["units"], num_layers=c["layers"], bidirectional=both)
    for layer in range(c["layers"]):
        inputs = c["units"] if layer else c["inputs"]
        set_recurrent(lstm, f"_l{layer}", f"lstm{layer + 1}", inputs, c["units"])
    if both:
        set_recurrent(lstm, "_l0_reverse", "lstm1/backward", c["inputs"], c["units"])
    last = dense("dense/kernel", (1 + both) * c["units"], c["classes"])

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.dense = lstm, last

        def forward(self, x):
            hidden = self.lstm(x)[1][0]
            return self.dense(torch.cat([hidden[0], hidden[1]], 1) if both else hidden[-1])

    return Net()


def make_cells(c):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = torch.nn.ModuleList()
            for layer in range(c["layers"]):
                inputs = c["units"] if layer else c["inputs"]
                self.cells.append(torch.nn.LSTMCell(inputs, c["units"]))
                set_recurrent(self.cells[-1], "", f"lstm{layer + 1}", inputs, c["units"])
            self.dense = dense("dense/kernel", c["units"], c["classes"])

        def forward(self, x):
            steps = list(x.unbind(0))
            for cell in self.cells:
                state = (torch.zeros(x.shape[1], cell.hidden_size), torch.zeros(x.shape[1], cell.hidden_size))
                for i, step in enumerate(steps):
                    state = cell(step, state)
                    steps[i] = state[0]
            return self.dense(steps[-1])

    return Net()


def make_cnn(c):
    def convolution(name, height, width, channels, maps):
        layer = torch.nn.Conv2d(channels, maps, (height, width))
        scale = (6 / (height * width * (channels + maps))) ** 0.5
        given = filled(name, height, width, channels, maps, scale=scale)
        layer.weight.data.copy_(given.permute(3, 2, 0, 1))
        layer.bias.data.zero_()
        return layer

    maps = c["units"]
    height, width = (c["inputs"] - 7) // 2 - 3, (c["time"] - 19) // 2 - 9
    features, classes = height * width * maps, c["classes"]
    last = torch.nn.Linear(features, classes)
    given = filled("dense/kernel", height, width, maps, classes, scale=(6 / (features + classes)) ** 0.5)
    last.weight.data.copy_(given.permute(3, 2, 0, 1).reshape(classes, features))
    last.bias.data.zero_()
    return torch.nn.Sequential(
        convolution("conv1/kernel", 8, 20, 1, maps), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        convolution("conv2/kernel", 4, 10, maps, maps), torch.nn.ReLU(), torch.nn.Flatten(), last,
    )  # fmt: skip


NETS = {"mlp": make_mlp, "lstm": make_lstm, "bidirectional_lstm": make_lstm, "lstm_cells": make_cells,
        "keyword_cnn": make_cnn}  # fmt: skip


def input_of(c):
    if c["model"] == "mlp":
        return filled("x", c["batch"], c["inputs"])
    if c["model"] == "keyword_cnn":
        return filled("x", c["batch"], 1, c["inputs"], c["time"])
    return filled("x", c["batch"], c["time"], c["inputs"]).transpose(0, 1).contiguous()


def make_step(c, compiled):
    """A function that runs the case once."""
    net, x = NETS[c["model"]](c), input_of(c)
    if not c["training"]:
        net.eval()
        forward = torch.compile(net) if compiled else net

        def infer():
            with torch.inference_mode():
                return forward(x).sum().item()

        return infer
    labels = torch.from_numpy((units("labels", c["batch"]) * np.float32(c["classes"])).astype(np.int64))
    weights = [p for p in net.parameters() if p.requires_grad]
    kernels = [p for p in weights if p.dim() > 1]
    make = torch.optim.Adam if c["adam"] else torch.optim.SGD
    optimizer = make(weights, lr=c["learning_rate"], fused=True)

    def loss_of(x):
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        if c["l1"] > 0:
            loss = loss + c["l1"] * sum(p.abs().sum() for p in kernels)
        return loss

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def train():
        optimizer.zero_grad()
        loss = loss_of(x)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def milliseconds(step):
    begin = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - begin)


def serve(threads, setting, c):
    torch.set_num_threads(threads)
    step = make_step(c, setting.endswith("compiled"))
    print("ok", torch.__version__, flush=True)
    words = (word for line in sys.stdin for word in line.split())
    for command in words:
        times = int(next(words))
        answers = [milliseconds(step) if command == "run" else step() for _ in range(times)]
        print("ok", *answers, flush=True)


try:
    import numpy as np
    import torch

    serve(int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
except Exception as error:  # whatever it is, the other end of the pipe has to hear of it
    print("error", str(error).replace("\n", " "), flush=True)
    sys.exit(2)
