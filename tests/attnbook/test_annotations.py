"""Shapes and types are checked as annotated while tests run, and a wrong annotation would be found."""

import importlib
import sys

import jaxtyping
import pytest
import torch

import attnbook
from attnbook import attention, masks, scaled_dot_product_attention, scores

CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
Q, K, V = torch.zeros(2, 4, 5), torch.zeros(2, 7, 5), torch.zeros(2, 7, 6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: attention(Q, K, V[:, :6]),  # m values, not 6
        lambda: attention(Q.long(), K, V),
        lambda: attention(Q, K, V, mask=torch.zeros(4, 7)),
        lambda: scaled_dot_product_attention(Q, K[..., :4], V),
        lambda: scaled_dot_product_attention(Q, K, V, bias=torch.ones(4, 7) > 0),
        lambda: scores.dot(Q, K[..., :4]),
        lambda: scores.scaled_dot(Q, torch.zeros(3, 7, 5)),
        lambda: scores.General(5, 5)(Q[0, 0], K),
        lambda: masks.padding(torch.ones(2)),
        lambda: masks.graph(torch.ones(3, 2, dtype=torch.long), 3),
        lambda: masks.causal(4.0),
        lambda: attnbook.attention_weights(torch.ones(7)),
    ],
)
def test_calls_against_the_annotations_are_refused(call):
    with pytest.raises(jaxtyping.TypeCheckError):
        call()


def test_the_checks_can_be_switched_off(own_errors):
    with pytest.raises(ValueError, match=r"^value must have one row for each key"):
        attention(Q, K, V[:, :6])


WRONG = """
from jaxtyping import Float
from torch import Tensor

def transposed(x: Float[Tensor, "... n m"]) -> Float[Tensor, "... n m"]:
    return x.transpose(-2, -1)

def narrowed(x: Float[Tensor, "... n m"]) -> Float[Tensor, "... n"]:
    return x[..., :1]
"""


def test_a_wrong_annotation_is_found(tmp_path, monkeypatch):
    """A module whose annotations are untrue imports, and its first call fails on what it returns."""
    (tmp_path / "untrue.py").write_text(WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    with jaxtyping.install_import_hook("untrue", CHECKER):
        untrue = importlib.import_module("untrue")
    try:
        for function in (untrue.transposed, untrue.narrowed):
            with pytest.raises(jaxtyping.TypeCheckError, match="return"):
                function(torch.zeros(2, 3, 4))
        assert untrue.transposed(torch.zeros(2, 3, 3)).shape == (2, 3, 3)  # square: true by chance
    finally:
        del sys.modules["untrue"]
