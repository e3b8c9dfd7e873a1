"""The heads explorer: what it keeps of the weights, its two numbers, its errors, its copied code."""

import math

import numpy as np
import pytest
import torch

from attnbook import pretrained
from attnbook.data import pronunciations
from attnbook.data.pronunciations import LETTERS
from attnbook.widgets import Heads
from tests.attnbook.widgets.javascript import copied, on_screen

TOKENS = ["a", "<img onerror=alert(1)>", "c", "d"]


@pytest.fixture
def weights():
    made = torch.randn(3, 2, 4, 4).double().softmax(dim=-1)
    made[2, 1, 0] = 0
    return made


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 1), (2, 1)])
def test_the_page_computes_what_python_computes(weights, layer, head):
    heads = Heads(weights, TOKENS, layer=layer, head=head)
    found = on_screen(heads, "look(model)")
    torch.testing.assert_close(torch.tensor(found["weights"], dtype=torch.float64), heads.chosen, rtol=0, atol=1e-15)
    assert found["entropy"] == pytest.approx(heads.entropy, rel=1e-12)
    assert found["distance"] == pytest.approx(heads.distance, rel=1e-12)


def test_the_numbers_by_loops(weights):
    chosen = Heads(weights, TOKENS, layer=2, head=1).chosen.tolist()
    entropy = sum(-w * math.log2(w) for row in chosen for w in row if w > 0) / 4
    distance = sum(w * abs(i - j) for i, row in enumerate(chosen) for j, w in enumerate(row)) / 4
    heads = Heads(weights, TOKENS, layer=2, head=1)
    assert heads.entropy == pytest.approx(entropy) and heads.distance == pytest.approx(distance)


def test_weights_are_kept_to_five_decimals(weights):
    for given in (weights, weights.tolist(), weights.numpy(), weights.float()):
        assert (Heads(given, TOKENS).weights - weights).abs().max() < 1e-5


def test_cross_attention_has_no_distance():
    heads = Heads(np.full((1, 1, 2, 3), 1 / 3), ["a", "b"], ["x", "y", "z"])
    assert on_screen(heads, "look(model)")["distance"] is None
    assert heads.entropy == pytest.approx(math.log2(3), abs=1e-4)
    with pytest.raises(ValueError, match="distance needs as many keys as queries; got 3 keys and 2 queries"):
        _ = heads.distance


def test_the_copied_python_makes_the_row_on_the_screen(weights):
    source = "import torch\nweights = torch.arange(96.0).reshape(3, 2, 4, 4)"
    for reads, expected in ((True, [84, 85, 86, 87]), (False, [81, 85, 89, 93])):
        names = copied(Heads(weights, TOKENS, layer=2, head=1, token=1, reads=reads, source=source))
        assert names["row"].tolist() == expected


def test_what_chapter_8_says():
    """The head that reads the letter before, on the word of the chapter and on the first 500 test words."""
    model, words = pretrained.load_transformer("transformer"), pronunciations.load()

    @torch.no_grad()
    def before(word):
        weights = torch.cat(model.encode(torch.tensor([LETTERS.encode(word)]), need_weights=True)[1])
        return weights, weights.diagonal(-1, dim1=-2, dim2=-1).mean(dim=-1)

    weights, share = before("knowledge")
    entropies = [Heads(weights, [*"knowledge", "⏎"], layer=k // 4, head=k % 4).entropy for k in range(8)]
    assert entropies.index(min(entropies)) == 6 and round(min(entropies), 2) == 0.54
    assert round(share[1, 2].item(), 2) == 0.75 and "knowledge" in words.train
    mean = torch.stack([before(word)[1] for word in words.test[:500]]).mean(dim=0)
    assert round(mean[1, 2].item(), 2) == 0.92 and mean.argmax() == 6


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"weights": torch.ones(2, 2)}, ValueError, r"weights must have shape \(layers, heads, n, m\); got \(2, 2\)"),
        ({"weights": torch.ones(1, 1, 4, 4)}, ValueError, "weights must not be negative, and their rows must sum to 1"),
        ({"tokens": ["a"]}, ValueError, "tokens must have 4 rows; got 1"),
        ({"keys": ["a"]}, ValueError, "keys must have 4 rows; got 1"),
        ({"layer": 3}, ValueError, "layer must be from 0 to 2; got 3"),
        ({"token": -1}, ValueError, "token must be from 0 to 3; got -1"),
        ({"source": 3}, TypeError, "'source' trait .* expected a unicode string"),
    ],
)
def test_bad_input_is_named(weights, change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Heads(**({"weights": weights, "tokens": TOKENS} | change))
