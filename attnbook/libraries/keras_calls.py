"""Keras 3: two layers, on the backend that KERAS_BACKEND named when Keras was first imported. NumPy in, NumPy out.

Run as a program, this file answers the requests of `keras_process`. It needs Keras and NumPy alone.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

import json
import os
import sys

import numpy as np

Answer = tuple[np.ndarray, np.ndarray | None]


def attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> Answer:
    """(b, n, d), one head; the mask is one of keys, (b, m), True may be seen.

    The layer does not scale by itself: use_scale makes the scale a weight that
    starts at 1. Here it is set to 1/sqrt(d).
    """
    import keras

    dtype = query.dtype.name
    layer = keras.layers.Attention(use_scale=True, dropout=dropout, dtype=dtype)
    layer.build([query.shape, value.shape, key.shape])
    layer.set_weights([np.asarray(query.shape[-1] ** -0.5, query.dtype)])
    options = {"use_causal_mask": causal, "return_attention_scores": True}
    inputs = [query, value, key]  # query, VALUE, key
    with keras.device("cpu"):
        answer = layer(inputs, mask=[None, mask], training=training, **options)
        return tuple(keras.ops.convert_to_numpy(x) for x in answer)


def multihead(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    heads: int = 1,
    mask: np.ndarray | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    weights: bool = True,
    projections: np.ndarray | None = None,
) -> Answer:
    """(b, n, h * d); True may be seen; weights of each head.

    projections: W_q, W_k, W_v and W_o as nn.Linear has them, (4, out, in); without
    them all four are the identity, so that only the attention is left.
    """
    import keras

    d_model, dtype = query.shape[-1], query.dtype.name
    if projections is None:
        projections = np.stack([np.eye(d_model)] * 4)
    layer = keras.layers.MultiHeadAttention(heads, d_model // heads, use_bias=False, dropout=dropout, dtype=dtype)
    layer.build(query.shape, value.shape, key.shape)
    *inward, outward = projections.astype(dtype).transpose(0, 2, 1)  # (in, out)
    inward = [w.reshape(d_model, heads, -1) for w in inward]
    layer.set_weights([*inward, outward.reshape(heads, -1, d_model)])
    options = {"use_causal_mask": causal, "return_attention_scores": weights}
    options |= {"attention_mask": mask, "training": training}
    with keras.device("cpu"):
        answer = layer(query, value, key, **options)  # query, VALUE, key
        if not weights:
            return keras.ops.convert_to_numpy(answer), None
        return tuple(keras.ops.convert_to_numpy(x) for x in answer)


def backend() -> str:
    import keras

    return keras.backend.backend()


def tf_keras_is_keras() -> bool:
    """Whether TensorFlow's tf.keras.layers are these two classes."""
    import keras
    import tensorflow as tf

    names = ("Attention", "MultiHeadAttention")
    return all(getattr(tf.keras.layers, name) is getattr(keras.layers, name) for name in names)


def pack(array: np.ndarray | None) -> dict | None:
    """An array as JSON, exact to the last bit."""
    return None if array is None else {"dtype": array.dtype.name, "shape": array.shape, "data": array.ravel().tolist()}


def unpack(packed: dict | None) -> np.ndarray | None:
    return None if packed is None else np.array(packed["data"], packed["dtype"]).reshape(packed["shape"])


def serve() -> None:
    """One JSON request a line in, one JSON answer a line out, until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints gets between the answers
    calls = {call.__name__: call for call in (attention, multihead, backend, tf_keras_is_keras)}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            arrays = {name: unpack(array) for name, array in request["arrays"].items()}
            answer = calls[request["call"]](**arrays, **request["options"])
            answer = {"answer": [pack(x) for x in answer] if isinstance(answer, tuple) else answer}
        except Exception as error:  # whatever it is, the caller should see it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
