"""Chapter 12's printed numbers once more: the stored model by NumPy from its file, the rest by counting."""

import json
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import erf
from sklearn.datasets import load_digits

from attnbook.data import digits
from attnbook.pretrained.digits import FILE, SHUFFLED_FILE
from attnbook.pretrained.files import FOLDER

NOTEBOOK = Path(__file__).resolve().parents[2] / "chapters" / "12-images.ipynb"
HEADS = 4


@pytest.fixture(scope="module")
def printed():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.fixture(scope="module")
def test_digits():
    """The 500 images as (500, 16, 4): patches in rows of four, pixels in rows of two; and the labels."""
    _, test = digits.load()
    pixels = test.images.double().numpy()[:, 0]
    patches = [pixels[:, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].reshape(-1, 4) for r in range(4) for c in range(4)]
    return np.stack(patches, axis=1), test.labels.numpy()


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


class Model:
    """The vision Transformer of the file, in float64."""

    def __init__(self):
        self.weights = {name: array.astype(np.float64) for name, array in load_file(FOLDER / FILE).items()}

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name, x):
        centered = x - x.mean(axis=-1, keepdims=True)
        scaled = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-6)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def __call__(self, patches, positions=None):
        """Logits, and for each layer the mean of the heads' weights."""
        count = len(patches)
        first = np.broadcast_to(self.weights["class_token"], (count, 1, 32))
        x = np.concatenate([first, self.linear("embed", patches)], axis=1)
        x = x + (self.weights["positions.weight"] if positions is None else positions)
        maps = []
        for layer in ("encoder.layers.0", "encoder.layers.1"):
            y = self.norm(f"{layer}.after_self_attention.norm", x)
            q, k, v = (
                self.linear(f"{layer}.self_attention.{name}", y).reshape(count, 17, HEADS, 8)
                for name in ("q_proj", "k_proj", "v_proj")
            )
            weights = softmax(np.einsum("bihd,bjhd->bhij", q, k) / np.sqrt(8))
            heads = np.einsum("bhij,bjhd->bihd", weights, v).reshape(count, 17, 32)
            x = x + self.linear(f"{layer}.self_attention.out_proj", heads)
            y = self.linear(f"{layer}.feed_forward.W_1", self.norm(f"{layer}.after_feed_forward.norm", x))
            x = x + self.linear(f"{layer}.feed_forward.W_2", y * (1 + erf(y / np.sqrt(2))) / 2)
            maps.append(weights.mean(axis=1))
        return self.linear("head", self.norm("encoder.norm", x)[:, 0]), maps


@pytest.fixture(scope="module")
def model():
    return Model()


@pytest.fixture(scope="module")
def maps(model, test_digits):
    return model(test_digits[0])[1]


def right(logits, labels):
    return int((logits.argmax(axis=-1) == labels).sum())


def test_the_stored_model(model, test_digits, printed):
    patches, labels = test_digits
    count = right(model(patches)[0], labels)
    assert f"{count} of 500 right, {count / 5:.1f}%" in printed


def test_moved_patches(model, test_digits, printed):
    """The order of the exercise is drawn by PyTorch; here it is only applied."""
    import torch

    patches, labels = test_digits
    places = torch.randperm(16, generator=torch.Generator().manual_seed(2)).numpy()
    lost = right(model(patches[:, places])[0], labels)
    assert re.search(rf"\(a\) patches moved +{lost / 5:.1f}%", printed)
    table = model.weights["positions.weight"]
    kept = right(model(patches[:, places], np.concatenate([table[:1], table[1:][places]]))[0], labels)
    assert re.search(rf"\(b\) positions too +{kept / 5:.1f}%", printed)


@pytest.mark.parametrize("filling", ["paper", "the next digit's patch"])
@pytest.mark.parametrize("rule", ["most ink", "attention, last layer", "rollout", "least attention"])
def test_erased_patches(rule, filling, model, maps, test_digits, printed):
    patches, labels = test_digits
    there = np.zeros_like(patches) if filling == "paper" else np.concatenate([patches[1:], patches[:1]])
    last = maps[1][:, 0, 1:]
    eye = np.eye(17)
    rolled = ((maps[1] + eye) / 2 @ ((maps[0] + eye) / 2))[:, 0, 1:]
    ink = patches.sum(axis=-1)
    ranking = {"most ink": ink, "attention, last layer": last, "rollout": rolled, "least attention": -last}[rule]
    [_, table] = printed.split(f"in their place: {filling}\n")
    line = re.search(rf"^{rule} .*%$", table, re.MULTILINE)[0]
    shown = [int(value) for value in re.findall(r"(\d+)%", line)]
    for k, value in zip((0, 1, 2, 3, 4, 6, 8), shown, strict=True):
        erased = patches.copy()
        for image, new, order in zip(erased, there, np.argsort(-ranking, axis=1, kind="stable"), strict=True):
            image[order[:k]] = new[order[:k]]
        # Where ink is equal in two patches, the order in which they go is a matter of the sort.
        assert abs(100 * right(model(erased)[0], labels) / 500 - value) <= (1.0 if rule == "most ink" else 0.5), k


def test_positions_look_alike(model, printed):
    vectors = model.weights["positions.weight"][1:]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for steps in (1, 2, 3):
        pairs = [
            float(vectors[a] @ vectors[b])
            for a in range(16)
            for b in range(16)
            if max(abs(a // 4 - b // 4), abs(a % 4 - b % 4)) == steps
        ]
        assert f"{steps} steps apart: mean cosine {statistics.fmean(pairs):+.2f}" in printed


def test_the_runs_with_shuffled_pixels(printed):
    runs = json.loads(SHUFFLED_FILE.read_text(encoding="utf-8"))["right"]
    shares = {name: [count / 500 for count in counts] for name, counts in runs.items()}
    for name, values in shares.items():
        text = f"mean {statistics.fmean(values):.1%}, from {min(values):.1%} to {max(values):.1%}"
        assert re.search(rf"{name} +{re.escape(text)}", printed)
    for network in ("CNN", "ViT"):
        a, b = (shares[f"{network}, {kind}"] for kind in ("as it is", "shuffled"))
        loss = 100 * (statistics.fmean(a) - statistics.fmean(b))
        error = 100 * ((statistics.variance(a) + statistics.variance(b)) / 10) ** 0.5
        assert f"{network} loses {loss:+.1f} points, with a standard error of {error:.1f}" in printed


def test_nearest_neighbor_by_hand(printed):
    """Squared distances of whole numbers: exact, and no two nearest of different labels for the answers that count."""
    pixels, labels = load_digits(return_X_y=True)
    shades = {image.tobytes(): label for image, label in zip(pixels.astype(np.int64), labels, strict=True)}
    train, test = digits.load()
    rows, asked = (np.rint(16 * part.images.numpy().reshape(-1, 64)).astype(np.int64) for part in (train, test))
    squared = (asked**2).sum(1)[:, None] - 2 * asked @ rows.T + (rows**2).sum(1)
    found = [shades[rows[k].tobytes()] for k in squared.argmin(axis=1)]
    count = sum(a == shades[image.tobytes()] for a, image in zip(found, asked, strict=True))
    assert re.search(rf"nearest neighbor +{count} of 500, {count / 5:.1f}%", printed)


@pytest.mark.parametrize(("side", "patch"), [(8, 2), (224, 32), (224, 16), (224, 8), (448, 16), (896, 16)])
def test_how_long_an_image_is(side, patch, printed):
    positions = len(range(0, side, patch)) ** 2 + 1
    assert re.search(rf"^ *{side} +{patch} +{positions:,} +{positions * positions:,}$", printed, re.MULTILINE)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_receptive_fields(layers, printed):
    places = (2 * layers + 1) ** 2
    assert re.search(rf"{layers} convolutions? +sees +{places} of 225 places", printed)
    assert re.search(rf"{layers} local attentions? +sees +{places} places", printed)
