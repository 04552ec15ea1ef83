#!/usr/bin/python3
"""The cases in PyTorch as its users write them: a worker (see worker.hpp), for Debian 13's own Python."""

import worker

def filled(name, *shape, scale=1.0):
    return torch.from_numpy(worker.filled(name, *shape, scale=scale))


def kernel(name, inputs, outputs):
    """As torch keeps it, [outputs, inputs]."""
    return torch.from_numpy(worker.kernel(name, inputs, outputs)).T


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
    labels = torch.from_numpy((worker.units("labels", c["batch"]) * c["classes"]).astype("int64"))
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


def load():
    global torch
    import torch

    return torch.__version__


def make(_, threads, setting, numbers):
    torch.set_num_threads(threads)
    step = make_step(numbers, setting.endswith("compiled"))
    return step, step


worker.serve(load, make)
