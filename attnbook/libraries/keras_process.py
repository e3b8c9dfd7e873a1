"""Keras on a backend of our choice, in a process of its own: Keras reads its backend once a process, at its import."""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np

from attnbook.libraries import keras_calls
from attnbook.libraries.keras_calls import Answer, pack, unpack

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def on_backend(call: Callable[..., Answer], backend: str) -> Callable[..., Answer]:
    """A function of `keras_calls` that runs there, on "torch" or "tensorflow". Same arguments and answer."""

    def ask(query: np.ndarray, key: np.ndarray, value: np.ndarray, **options: object) -> Answer:
        arrays = {"query": query, "key": key, "value": value}
        arrays |= {name: options.pop(name) for name in ("mask", "projections") if name in options}
        packed = {name: pack(array) for name, array in arrays.items()}
        answer = _send(backend, {"call": call.__name__, "arrays": packed, "options": options})
        return tuple(unpack(array) for array in answer)

    ask.__wrapped__ = call  # for inspect.signature
    return ask


def backend_of(backend: str) -> str:
    """What Keras in that process says that it computes with."""
    return _send(backend, {"call": "backend", "arrays": {}, "options": {}})


def tf_keras_is_keras() -> bool:
    """Whether TensorFlow's tf.keras.layers are Keras 3's own: the same two classes."""
    return _send("tensorflow", {"call": "tf_keras_is_keras", "arrays": {}, "options": {}})


def _send(backend: str, request: dict) -> object:
    """One line there, one line back. Raises: RuntimeError with what the library said, or if the process ended."""
    process, line = _process(backend), ""
    with suppress(BrokenPipeError):
        print(json.dumps(request), file=process.stdin, flush=True)
        line = process.stdout.readline()
    if not line:
        _process.cache_clear()
        raise RuntimeError(f"the process with Keras on {backend} ended, exit status {process.wait()}")
    answer = json.loads(line)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["answer"]


@cache
def _process(backend: str) -> subprocess.Popen:
    """Started at the first request, which takes as long as importing the backend; it ends with this process."""
    process = subprocess.Popen(
        [sys.executable, "-P", keras_calls.__file__],
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(process.communicate)  # closes its input, which ends it
    return process
