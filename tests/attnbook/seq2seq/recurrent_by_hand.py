"""Recurrent cells and decoder steps in float64 NumPy loops, from the papers' formulas: no code shared with attnbook.

Parameters are read out of the modules by name as arrays. PyTorch's gates are stacked: r, z, n (GRU), i, f, g, o (LSTM).
"""

import numpy as np


def arrays(module):
    return {name: parameter.detach().double().numpy() for name, parameter in module.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def gru(x, h, w_ih, w_hh, b_ih, b_hh):
    d = len(h)
    a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
    r, z = sigmoid(a[:d] + b[:d]), sigmoid(a[d : 2 * d] + b[d : 2 * d])
    n = np.tanh(a[2 * d :] + r * b[2 * d :])
    return (1 - z) * n + z * h


def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh):
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def layer(p, prefix, suffix="l0"):
    return [p[f"{prefix}{kind}_{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def bidirectional_gru(p, numbers):
    """Annotations [→h_j; ←h_j] of one source, given as numbers."""
    x = [p["encoder.embedding.weight"][number] for number in numbers]
    forward, backward = [], []
    h = np.zeros(p["encoder.recurrence.rnn.weight_hh_l0"].shape[1])
    for step in x:
        h = gru(step, h, *layer(p, "encoder.recurrence.rnn."))
        forward.append(h)
    h = np.zeros_like(h)
    for step in reversed(x):
        h = gru(step, h, *layer(p, "encoder.recurrence.rnn.", "l0_reverse"))
        backward.insert(0, h)
    return [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]


def lstm_states(p, numbers):
    """(states of every step, last c) of one source read by a one-layer LSTM."""
    h = c = np.zeros(p["encoder.recurrence.rnn.weight_hh_l0"].shape[1])
    states = []
    for number in numbers:
        h, c = lstm(p["encoder.embedding.weight"][number], h, c, *layer(p, "encoder.recurrence.rnn."))
        states.append(h)
    return states, c
