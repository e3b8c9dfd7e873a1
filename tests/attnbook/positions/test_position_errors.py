"""Each wrong argument is refused by an error that names it, what was expected and what came."""

import pytest
import torch

from attnbook.positions import (
    LearnedPositions,
    RelativeShaw,
    RelativeT5,
    Rotary,
    alibi,
    alibi_slopes,
    distances,
    interleaved_to_half,
    sinusoidal,
    t5_bucket,
)
from tests.attnbook.reference import refused

pytestmark = pytest.mark.usefixtures("own_errors")

X = torch.zeros(2, 3, 5, 4)
WHOLE = torch.arange(4)


def shaw(**changes):
    arguments = {"query": X, "key": X, "value": X} | changes
    return RelativeShaw(4, 2)(**arguments)


CASES = [
    # call, error, how it starts (the name first), what it says then
    (lambda: distances(-1), ValueError, "n must be at least 0", "-1"),
    (lambda: distances(2, 3.0), TypeError, "m must be an integer", "float"),
    (lambda: sinusoidal(-1, 4), ValueError, "length must be at least 0", "-1"),
    (lambda: sinusoidal(4, 5), ValueError, "d_model must be even", "pairs", "5"),
    (lambda: sinusoidal(4, 0), ValueError, "d_model must be at least 2", "0"),
    (lambda: sinusoidal(4, 4.0), TypeError, "d_model must be an integer", "float"),
    (lambda: sinusoidal(4, 4, base=1), ValueError, "base must be a finite number above 1", "1"),
    (lambda: sinusoidal(4, 4, base=float("nan")), ValueError, "base must be a finite number above 1", "nan"),
    (lambda: sinusoidal(4, 4, base=float("inf")), ValueError, "base must be a finite number above 1", "inf"),
    (lambda: sinusoidal(4, 4, base="1e4"), TypeError, "base must be a number", "str"),
    (lambda: sinusoidal(4, 4, start=-2), ValueError, "start must be at least 0", "-2"),
    (lambda: LearnedPositions(0, 4), ValueError, "max_length must be at least 1", "0"),
    (lambda: LearnedPositions(4, 0), ValueError, "d_model must be at least 1", "0"),
    (lambda: LearnedPositions(4, 4)(-1), ValueError, "length must be at least 0", "-1"),
    (lambda: LearnedPositions(4, 4)(2, -1), ValueError, "start must be at least 0", "-1"),
    (lambda: LearnedPositions(4, 4)(2, True), TypeError, "start must be an integer", "bool"),
    (lambda: LearnedPositions(4, 4)(2, 3), ValueError, "length must end within max_length = 4", "start 3 + length 2"),
    (lambda: RelativeShaw(0, 2), ValueError, "d_head must be at least 1", "0"),
    (lambda: RelativeShaw(4, -1), ValueError, "max_distance must be at least 0", "-1"),
    (lambda: shaw(query=X[..., :3], key=X[..., :3]), ValueError, "query must have last axis 4", "(2, 3, 5, 3)"),
    (lambda: shaw(query=X.double()), TypeError, "key must have the dtype of query", "float64", "float32"),
    (lambda: shaw(value=X[..., :3]), ValueError, "value must have last axis 4", "d_head", "(2, 3, 5, 3)"),
    (
        lambda: RelativeShaw(4, 2).key_scores(X.double(), 5),
        TypeError,
        "query must have the dtype of the positions' tables",
        "float32",
        "float64",
    ),
    (lambda: RelativeShaw(4, 2).key_scores([1.0], 5), TypeError, "query must be a torch.Tensor", "list"),
    (lambda: RelativeShaw(4, 2).key_scores(X, 5.0), TypeError, "m must be an integer", "float"),
    (lambda: RelativeShaw(4, 2).value_output(torch.zeros(3)), ValueError, "weights must have shape", "(3,)"),
    (lambda: RelativeShaw(4, 2, values=False).value_output(X), ValueError, "values must be True", "False"),
    (lambda: RelativeShaw(4, 2, values=1), TypeError, "values must be True or False", "int"),
    (lambda: t5_bucket(WHOLE.float()), TypeError, "distance must be a tensor of whole numbers", "float32"),
    (lambda: t5_bucket(3), TypeError, "distance must be a torch.Tensor of whole numbers", "int"),
    (lambda: t5_bucket(WHOLE, n_buckets=2), ValueError, "n_buckets must be at least 4", "2"),
    (lambda: t5_bucket(WHOLE, n_buckets=9), ValueError, "n_buckets must be even", "direction", "9"),
    (lambda: t5_bucket(WHOLE, n_buckets=1, bidirectional=False), ValueError, "n_buckets must be at least 2", "1"),
    (lambda: t5_bucket(WHOLE, max_distance=8), ValueError, "max_distance must be at least 9", "8"),
    (
        lambda: t5_bucket(WHOLE, max_distance=16, bidirectional=False),
        ValueError,
        "max_distance must be at least 17",
        "16",
    ),
    (lambda: t5_bucket(WHOLE, bidirectional=1), TypeError, "bidirectional must be True or False", "int"),
    (lambda: RelativeT5(0), ValueError, "n_heads must be at least 1", "0"),
    (lambda: RelativeT5(2, 7), ValueError, "n_buckets must be even", "7"),
    (lambda: RelativeT5(2, 32, 8), ValueError, "max_distance must be at least 9", "8"),
    (lambda: RelativeT5(2, bidirectional="no"), TypeError, "bidirectional must be True or False", "str"),
    (lambda: RelativeT5(2)(-1, 2), ValueError, "n must be at least 0", "-1"),
    (lambda: Rotary(5, layout="half"), ValueError, "d_head must be even", "pairs", "5"),
    (lambda: Rotary(0, layout="half"), ValueError, "d_head must be at least 2", "0"),
    (lambda: Rotary(4, layout="llama"), ValueError, 'layout must be "half" or "interleaved"', "'llama'"),
    (lambda: Rotary(4, layout=None), ValueError, 'layout must be "half" or "interleaved"', "None"),
    (lambda: Rotary(4, base=0.5, layout="half"), ValueError, "base must be a finite number above 1", "0.5"),
    (lambda: Rotary(4, layout="half")(X.long()), TypeError, "x must be a floating-point tensor", "int64"),
    (lambda: Rotary(4, layout="half")(X[..., :2]), ValueError, "x must have last axis 4", "d_head", "(2, 3, 5, 2)"),
    (lambda: Rotary(4, layout="half")(torch.zeros(4)), ValueError, "x must have shape (..., length, dim)", "(4,)"),
    (lambda: Rotary(4, layout="half")(X, start=-1), ValueError, "start must be at least 0", "-1"),
    (lambda: Rotary(4, layout="half")(X, start=1.0), TypeError, "start must be an integer", "float"),
    (
        lambda: interleaved_to_half(torch.zeros(6, 4), 2),
        ValueError,
        "projection must have n_heads · d_head rows",
        "(6, 4)",
    ),
    (lambda: interleaved_to_half(torch.tensor(1.0), 2), ValueError, "projection must have n_heads", "()"),
    (lambda: interleaved_to_half(None, 2), TypeError, "projection must be a torch.Tensor", "NoneType"),
    (lambda: interleaved_to_half(X, 0), ValueError, "n_heads must be at least 1", "0"),
    (lambda: alibi_slopes(0), ValueError, "n_heads must be at least 1", "0"),
    (lambda: alibi_slopes(2.0), TypeError, "n_heads must be an integer", "float"),
    (lambda: alibi(2, -1), ValueError, "n must be at least 0", "-1"),
    (lambda: alibi(2, 3, symmetric=1), TypeError, "symmetric must be True or False", "int"),
]


@pytest.mark.parametrize(("call", "error", "starts", "says"), [(c, e, s, x) for c, e, s, *x in CASES])
def test_refused(call, error, starts, says):
    with refused(error, starts, *says):
        call()


def test_the_layout_must_be_named():
    with pytest.raises(TypeError, match="layout"):
        Rotary(4)
