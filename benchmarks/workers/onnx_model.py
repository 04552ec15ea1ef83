"""The nets of inference cases as ONNX models (opset 17), in the bytes of their protocol buffers."""

import numpy as np
from worker import filled, kernel

FLOAT, INT64 = 1, 7  # TensorProto.DataType


def varint(value):
    """Seven bits a byte, the lowest first."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def field(number, value):
    """A number, or what has a length: text, bytes, a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def attribute(name, value):
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    return message((1, name), *((8, v) for v in value), (20, 7))


def described(name, shape):
    """A ValueInfoProto of floats."""
    extents = message(*((1, message((1, extent))) for extent in shape))
    return message((1, name), (2, message((1, message((1, FLOAT), (2, extents))))))


class Model:
    """A graph in the making: constants and nodes, in order."""

    def __init__(self):
        self.parts, self.names = [], 0

    def constant(self, values):
        self.names += 1
        name = f"constant{self.names}"
        kind = INT64 if values.dtype == np.int64 else FLOAT
        tensor = message(*((1, extent) for extent in values.shape), (2, kind), (8, name),
                         (9, np.ascontiguousarray(values).tobytes()))  # fmt: skip
        self.parts.append((5, tensor))
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        """The name of its result, or of each of several."""
        results = []
        for _ in range(outputs):
            self.names += 1
            results.append(f"value{self.names}")
        self.parts.append((1, message(
            *((1, i) for i in inputs), *((2, r) for r in results), (4, kind),
            *((5, attribute(name, value)) for name, value in attributes.items()),
        )))  # fmt: skip
        return results[0] if outputs == 1 else results

    def dense(self, x, name, inputs, outputs):
        return self.gemm(x, kernel(name, inputs, outputs))

    def gemm(self, x, weights):
        bias = np.zeros(weights.shape[1], np.float32)
        return self.node("Gemm", x, self.constant(weights), self.constant(bias))

    def finished(self, shape, result):
        """The model from "x" of that shape to the sum of its result, "y"."""
        y = self.node("ReduceSum", result, keepdims=0)
        self.parts.append((1, message((1, y), (2, "y"), (4, "Identity"))))
        graph = message(*self.parts, (2, "case"), (11, described("x", shape)), (12, described("y", ())))
        return message((1, 8), (7, graph), (8, message((1, ""), (2, 17))))


def mlp(c):
    model = Model()
    x = model.node("Relu", model.dense("x", "dense1/kernel", c["inputs"], c["units"]))
    x = model.node("Relu", model.dense(x, "dense2/kernel", c["units"], c["units"]))
    x = model.dense(x, "dense3/kernel", c["units"], c["classes"])
    return model.finished((c["batch"], c["inputs"]), x)


def gates(values):
    """Columns i, f, g, o as rows i, o, f, g."""
    i, f, g, o = np.split(values.T, 4)
    return np.concatenate([i, o, f, g])


def lstm(c):
    model, width = Model(), c["units"]
    both = c["model"] == "bidirectional_lstm"
    x = "x"
    for layer in range(c["layers"]):
        name, inputs = f"lstm{layer + 1}", width if layer else c["inputs"]
        names = [name, name + "/backward"] if both else [name]
        weights = [np.stack([gates(kernel(f"{n}/{part}_kernel", rows, 4 * width)) for n in names])
                   for part, rows in (("input", inputs), ("recurrent", width))]  # fmt: skip
        weights.append(np.zeros((len(names), 8 * width), np.float32))
        all_steps, last, _ = model.node("LSTM", x, *map(model.constant, weights), outputs=3, hidden_size=width,
                                        direction="bidirectional" if both else "forward")  # fmt: skip
        # [time, directions, batch, units]
        x = model.node("Squeeze", all_steps, model.constant(np.array([1]))) if layer + 1 < c["layers"] else None
    rows = model.node("Transpose", last, perm=[1, 0, 2])
    rows = model.node("Reshape", rows, model.constant(np.array([c["batch"], len(names) * width])))
    x = model.dense(rows, "dense/kernel", len(names) * width, c["classes"])
    return model.finished((c["time"], c["batch"], c["inputs"]), x)


def cnn(c):
    model, maps = Model(), c["units"]

    def convolution(x, name, height, width, channels):
        scale = (6 / (height * width * (channels + maps))) ** 0.5
        given = filled(name, height, width, channels, maps, scale=scale)
        bias = np.zeros(maps, np.float32)
        x = model.node("Conv", x, model.constant(given.transpose(3, 2, 0, 1)), model.constant(bias))
        return model.node("Relu", x)

    height, width = (c["inputs"] - 7) // 2 - 3, (c["time"] - 19) // 2 - 9
    features, classes = height * width * maps, c["classes"]
    x = convolution("x", "conv1/kernel", 8, 20, 1)
    x = model.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = model.node("Flatten", convolution(x, "conv2/kernel", 4, 10, maps))
    given = filled("dense/kernel", height, width, maps, classes, scale=(6 / (features + classes)) ** 0.5)
    x = model.gemm(x, given.transpose(2, 0, 1, 3).reshape(features, classes))
    return model.finished((c["batch"], 1, c["inputs"], c["time"]), x)


def input_of(c):
    if c["model"] == "mlp":
        return filled("x", c["batch"], c["inputs"])
    if c["model"] == "keyword_cnn":
        return filled("x", c["batch"], 1, c["inputs"], c["time"])
    return np.ascontiguousarray(filled("x", c["batch"], c["time"], c["inputs"]).transpose(1, 0, 2))


# A loop over cells is the same operator here.
NETS = {"mlp": mlp, "lstm": lstm, "bidirectional_lstm": lstm, "lstm_cells": lstm, "keyword_cnn": cnn}
