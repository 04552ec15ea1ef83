#!/usr/bin/python3
"""Inference by ONNX Runtime's C interface: a worker (see worker.hpp). A run is one call of the library."""

import ctypes
import os

import worker

# Places in the table of functions OrtApi (onnxruntime_c_api.h), which only ever grows at its end.
ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, RUN, CREATE_OPTIONS, SET_THREADS = 2, 3, 8, 9, 10, 24
CREATE_TENSOR, CREATE_MEMORY_INFO = 49, 69
API_VERSION, WARNINGS, ARENA, DEFAULT_MEMORY = 17, 2, 1, 0


class ApiBase(ctypes.Structure):
    _fields_ = [("api", ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint32)),
                ("version", ctypes.CFUNCTYPE(ctypes.c_char_p))]  # fmt: skip


def function(place, *kinds):
    """A function of the table that raises what it fails with."""
    call = ctypes.CFUNCTYPE(ctypes.c_void_p, *kinds)(api[place])

    def checked(*arguments):
        status = call(*arguments)
        if status:
            raise RuntimeError(ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(api[ERROR_MESSAGE])(status).decode())

    return checked


def load():
    global api, onnx_model
    library = ctypes.CDLL(os.environ["ONNXRUNTIME_LIBRARY"])
    library.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
    base = library.OrtGetApiBase().contents
    api = base.api(API_VERSION)
    import onnx_model

    return base.version().decode()


def made(place, *arguments):
    """What a function of the table makes, which it gives by its last argument."""
    result = ctypes.c_void_p()
    kinds = [ctypes.c_void_p if a is None else type(a) for a in arguments]
    function(place, *kinds, ctypes.c_void_p)(*arguments, ctypes.addressof(result))
    return result


def tensor(memory, values):
    """A tensor over the array's own memory."""
    shape = (ctypes.c_int64 * values.ndim)(*values.shape)
    return made(CREATE_TENSOR, memory, ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes),
                ctypes.cast(shape, ctypes.c_void_p), ctypes.c_size_t(values.ndim), ctypes.c_int(onnx_model.FLOAT))  # fmt: skip


def make(_, threads, setting, numbers):
    import numpy as np

    model = onnx_model.NETS[numbers["model"]](numbers)
    environment = made(CREATE_ENV, ctypes.c_int(WARNINGS), ctypes.c_char_p(b"lariat"))
    options = made(CREATE_OPTIONS)
    function(SET_THREADS, ctypes.c_void_p, ctypes.c_int)(options, threads)
    session = made(CREATE_SESSION, environment, ctypes.c_char_p(model), ctypes.c_size_t(len(model)), options)
    memory = made(CREATE_MEMORY_INFO, ctypes.c_int(ARENA), ctypes.c_int(DEFAULT_MEMORY))
    x, y = onnx_model.input_of(numbers), np.zeros((), np.float32)
    names = [(ctypes.c_char_p * 1)(name) for name in (b"x", b"y")]
    values = [(ctypes.c_void_p * 1)(tensor(memory, array).value) for array in (x, y)]
    one, pointer = ctypes.c_size_t(1), ctypes.c_void_p
    call = function(RUN, pointer, pointer, pointer, pointer, ctypes.c_size_t, pointer, ctypes.c_size_t, pointer)
    arguments = [session, None, ctypes.cast(names[0], pointer), ctypes.cast(values[0], pointer), one,
                 ctypes.cast(names[1], pointer), one, ctypes.cast(values[1], pointer)]  # fmt: skip

    def run():
        call(*arguments)
        return float(y)

    run.kept = x, names, values
    return run, run


worker.serve(load, make)
