"""The letters-to-sounds Transformers of chapter 10 in float64 NumPy.

Written from the papers' formulas (Vaswani et al., 2017; Xiong et al., 2020, for pre-norm). No code is shared with
attnbook. Words of one length are computed together, so that nothing is padded; what was written stays as it is, so
that each step computes the newest position alone.

Axes: b words, n positions that ask, m positions that answer, h heads, c components of a head.
"""

import numpy as np
from safetensors.numpy import load_file

from tests.notebooks.letters_by_hand import BOS, EOS, FIRST, PHONEMES, WEIGHTS

LONGEST = 28


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def layer_norm(x, gain, shift):
    centered = x - x.mean(axis=-1, keepdims=True)
    return gain * centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5) + shift


def positions(places, d_model):
    """Sines in the even columns, cosines in the odd ones."""
    table = np.zeros((len(places), d_model))
    for k in range(0, d_model, 2):
        angle = np.array(places) / 10000 ** (k / d_model)
        table[:, k], table[:, k + 1] = np.sin(angle), np.cos(angle)
    return table


def plain(key):
    """A part that stands inside a replacement of it keeps its own name."""
    return key.replace(".residual.norm", ".norm").replace(".self_attention.attention.", ".self_attention.")


class TransformerByHand:
    """One stored model. `alpha` keeps the last weights (b, h, n, m) of each attention, under its name."""

    def __init__(self, name):
        stored = load_file(WEIGHTS / f"transformers-{name}.safetensors")
        self.p = {plain(key): value.astype(np.float64) for key, value in stored.items()}
        self.name, self.n_heads = name, 1 if name == "one-head" else 4
        self.d_model = self.p["output.weight"].shape[1]
        self.n_layers = 1 + max(int(key.split(".")[2]) for key in self.p if key.startswith("decoder.layers"))
        self.alpha = {}
        self.forgotten = {"encoder", "decoder"} if name == "post-norm" else set()  # norms that are left out

    def answers(self, words, longest=LONGEST):
        """For each word its phonemes, and the last layer's cross-attention for each symbol written (h, m), or None."""
        answers = {}
        for length in {len(word) for word in words}:
            group = [word for word in words if len(word) == length]
            answers |= zip(group, self.of_one_length(group, longest), strict=True)
        return [answers[word] for word in words]

    def of_one_length(self, words, longest):
        memory, past = self.encode(words), {}
        read, written, weights = np.full((len(words), 1), BOS), [], []
        ended = np.zeros(len(words), dtype=bool)
        while len(written) < longest and not ended.all():
            read = self.decode(read, memory, past).argmax(axis=-1)
            written.append(read[:, 0])
            weights.append(self.alpha.get(f"decoder.layers.{self.n_layers - 1}.cross_attention"))
            ended |= read[:, 0] == EOS
        for i, row in enumerate(np.array(written).T):
            end = [*row, EOS].index(EOS)
            rows = None if weights[0] is None else [alpha[i, :, 0] for alpha in weights[: end + 1]]
            yield [PHONEMES[number - FIRST] for number in row[:end]], rows

    def best_of_beam(self, words, width, longest=LONGEST):
        """For each word, all of one length, the phonemes and the log-probability of the best of `width` hypotheses."""
        memory, past = np.repeat(self.encode(words), width, axis=0), {}
        # All but one of a word's hypotheses are impossible at first, so that the same one is not kept twice.
        total = np.full((len(words), width), -np.inf)
        total[:, 0] = 0
        written = np.full((len(words), width, 1), BOS)
        first_row = width * np.arange(len(words))[:, None]
        while written.shape[2] <= longest and not (written == EOS).any(axis=2).all():
            logits = self.decode(written[:, :, -1].reshape(-1, 1), memory, past)[:, 0]
            log_p = np.log(softmax(logits)).reshape(len(words), width, -1)
            log_p[(written == EOS).any(axis=2)] = np.where(np.arange(log_p.shape[2]) == EOS, 0, -np.inf)
            candidates = (total[:, :, None] + log_p).reshape(len(words), -1)
            chosen = np.argsort(-candidates, axis=1, kind="stable")[:, :width]
            total = np.take_along_axis(candidates, chosen, axis=1)
            parent, symbol = np.divmod(chosen, log_p.shape[2])
            written = np.concatenate(
                [np.take_along_axis(written, parent[:, :, None], axis=1), symbol[:, :, None]], axis=2
            )
            rows = (first_row + parent).ravel()
            past = {name: [x[rows] for x in pair] for name, pair in past.items()}
        for row, best in zip(written[:, 0, 1:], total[:, 0], strict=True):
            yield [PHONEMES[number - FIRST] for number in row[: [*row, EOS].index(EOS)]], best

    def log_probability(self, word, phonemes):
        """ln p of these phonemes and the end, all positions at once."""
        numbers = [BOS, *(FIRST + PHONEMES.index(phoneme) for phoneme in phonemes), EOS]
        p = softmax(self.decode(np.array([numbers[:-1]]), self.encode([word]))[0])
        return np.log(p[range(len(numbers) - 1), numbers[1:]]).sum()

    def encode(self, words):
        """Words of one length -> the memory (b, m, d_model)."""
        x = self.embed("source", np.array([[FIRST + ord(c) - ord("a") for c in word] + [EOS] for word in words]), 0)
        for i in range(self.n_layers):
            x = self.add(x, f"encoder.layers.{i}", "self_attention", self.look_around)
            x = self.add(x, f"encoder.layers.{i}", "feed_forward", self.feed_forward)
        return self.norm(x, "encoder")

    def decode(self, numbers, memory, past=None):
        """The logits (b, n, symbols) after each number. past: each attention's keys and values, a dict to be filled.

        A model that was trained without a causal mask needs no other code: nothing later is there when it writes.
        """
        past = {} if past is None else past
        x = self.embed("target", numbers, next(iter(past.values()))[0].shape[1] if past else 0)
        for i in range(self.n_layers):
            x = self.add(x, f"decoder.layers.{i}", "self_attention", self.look_back, past)
            x = self.add(x, f"decoder.layers.{i}", "cross_attention", self.look_across, memory, past)
            x = self.add(x, f"decoder.layers.{i}", "feed_forward", self.feed_forward)
        return self.linear(self.norm(x, "decoder"), "output")

    def embed(self, side, numbers, start):
        x = np.sqrt(self.d_model) * self.p[f"{side}_embedding.tokens.weight"][numbers]
        if self.name == "without-positions":
            return x
        return x + positions(range(start, start + numbers.shape[1]), self.d_model)

    def add(self, x, layer, name, part, *others):
        """What goes on to the next part: pre-norm, but in "post-norm"."""
        norm = f"{layer}.after_{name}"
        if self.name == "post-norm":
            return self.norm(x + part(x, f"{layer}.{name}", *others), norm)
        change = part(self.norm(x, norm), f"{layer}.{name}", *others)
        return change if self.name == "without-residual" else x + change

    def norm(self, x, name):
        if self.name == "without-layer-norm" or name in self.forgotten:
            return x
        return layer_norm(x, self.p[f"{name}.norm.weight"], self.p[f"{name}.norm.bias"])

    def linear(self, x, name):
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def feed_forward(self, x, name):
        if self.name.startswith("without-feed-forward"):
            return np.zeros_like(x)
        return self.linear(np.maximum(self.linear(x, name + ".W_1"), 0), name + ".W_2")

    def look_around(self, x, name):
        return self.attend(x, name, *self.keys_and_values(x, name))

    def look_back(self, x, name, past):
        keys_and_values = self.keys_and_values(x, name)
        if name in past:
            keys_and_values = [np.concatenate(pair, axis=1) for pair in zip(past[name], keys_and_values, strict=True)]
        past[name] = keys_and_values
        places = np.arange(keys_and_values[0].shape[1])
        return self.attend(x, name, *keys_and_values, hidden=places > places[-x.shape[1] :, None])

    def look_across(self, x, name, memory, past):
        if self.name == "without-cross-attention":
            return np.zeros_like(x)
        if name not in past:
            past[name] = self.keys_and_values(memory, name)
        return self.attend(x, name, *past[name])

    def keys_and_values(self, x, name):
        return [self.split(self.linear(x, f"{name}.{kind}_proj")) for kind in "kv"]

    def split(self, x):
        return x.reshape(*x.shape[:2], self.n_heads, -1)

    def attend(self, x, name, k, v, hidden=False):
        """x (b, n, d_model), k and v (b, m, h, c); hidden (n, m): True where nothing may be seen."""
        q = self.split(self.linear(x, f"{name}.q_proj"))
        scores = np.einsum("bnhc,bmhc->bhnm", q, k, optimize=True)
        if self.name != "without-scale":
            scores /= np.sqrt(q.shape[-1])
        self.alpha[name] = alpha = softmax(np.where(hidden, -np.inf, scores))
        heads = np.einsum("bhnm,bmhc->bnhc", alpha, v, optimize=True)
        return self.linear(heads.reshape(x.shape), f"{name}.out_proj")
