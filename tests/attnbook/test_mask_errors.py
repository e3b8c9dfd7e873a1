"""Each wrong argument of a mask is refused by an error that names it, what was expected and what came."""

import pytest
import torch

from attnbook import masks
from tests.attnbook.reference import refused

pytestmark = pytest.mark.usefixtures("own_errors")

SQUARE = {
    masks.causal: {},
    masks.sliding_window: {"before": 1, "after": 1},
    masks.strided: {"stride": 2},
    masks.global_tokens: {"tokens": [0]},
    masks.block: {"size": 2},
    masks.random_block: {"size": 2, "count": 1, "seed": 0},
}


@pytest.mark.parametrize("mask", SQUARE, ids=lambda mask: mask.__name__)
@pytest.mark.parametrize(
    ("queries", "keys", "error", "name", "says"),
    [
        (-1, None, ValueError, "queries", ["at least 0", "-1"]),
        (4, -2, ValueError, "keys", ["at least 0", "-2"]),
        (4.0, None, TypeError, "queries", ["integer", "float"]),
        (4, "5", TypeError, "keys", ["integer", "str"]),
        (True, None, TypeError, "queries", ["integer", "bool"]),
        (torch.ones(3, 4), None, TypeError, "queries", ["integer", "Tensor"]),
    ],
)
def test_sizes(mask, queries, keys, error, name, says):
    with refused(error, f"{name} must ", *says):
        mask(queries, keys, **SQUARE[mask])


EDGES = torch.tensor([[0, 1], [1, 2]])
OPTIONS = [
    (lambda: masks.sliding_window(4, before=-1, after=0), ValueError, "before", "at least 0", "-1"),
    (lambda: masks.sliding_window(4, before=0, after=-3), ValueError, "after", "at least 0", "-3"),
    (lambda: masks.sliding_window(4, before=0.5, after=0), TypeError, "before", "integer", "float"),
    (lambda: masks.strided(4, stride=0), ValueError, "stride", "at least 1", "0"),
    (lambda: masks.strided(4, stride=None), TypeError, "stride", "integer", "NoneType"),
    (lambda: masks.block(4, size=0), ValueError, "size", "at least 1", "0"),
    (lambda: masks.random_block(4, size=0, count=1, seed=0), ValueError, "size", "at least 1", "0"),
    (lambda: masks.random_block(4, size=1, count=-1, seed=0), ValueError, "count", "at least 0", "-1"),
    (lambda: masks.random_block(4, size=1, count=1.5, seed=0), TypeError, "count", "integer", "float"),
    (lambda: masks.random_block(4, size=1, count=1, seed=-7), ValueError, "seed", "at least 0", "-7"),
    (lambda: masks.random_block(4, size=1, count=1, seed=None), TypeError, "seed", "integer", "NoneType"),
    (lambda: masks.global_tokens(4, tokens=2), TypeError, "tokens", "list or tuple", "int"),
    (lambda: masks.global_tokens(4, tokens=[1, 0.5]), TypeError, "tokens", "integers", "float"),
    (lambda: masks.global_tokens(4, tokens=[4]), ValueError, "tokens", "between -4 and 3", "4"),
    (lambda: masks.global_tokens(4, 6, tokens=[-7]), ValueError, "tokens", "between -6 and 5", "-7"),
    (lambda: masks.padding([3, 2]), TypeError, "lengths", "torch.Tensor", "list"),
    (lambda: masks.padding(torch.tensor([1.0])), TypeError, "lengths", "whole numbers", "torch.float32"),
    (lambda: masks.padding(torch.tensor([True])), TypeError, "lengths", "whole numbers", "torch.bool"),
    (lambda: masks.padding(torch.tensor([[1, 2]])), ValueError, "lengths", "(batch,)", "(1, 2)"),
    (lambda: masks.padding(torch.tensor(3)), ValueError, "lengths", "(batch,)", "()"),
    (lambda: masks.padding(torch.tensor([1, 5]), 4), ValueError, "lengths", "between 0 and keys = 4", "[1, 5]"),
    (lambda: masks.padding(torch.tensor([-1, 2])), ValueError, "lengths", "between 0 and keys = 2", "[-1, 2]"),
    (lambda: masks.padding(torch.tensor([1]), 2.0), TypeError, "keys", "integer", "float"),
    (lambda: masks.graph([[0], [1]], 3), TypeError, "edges", "torch.Tensor", "list"),
    (lambda: masks.graph(EDGES.double(), 3), TypeError, "edges", "whole numbers", "torch.float64"),
    (lambda: masks.graph(EDGES[0], 3), ValueError, "edges", "(2, number of edges)", "(2,)"),
    (lambda: masks.graph(torch.zeros(5, 3).long(), 3), ValueError, "edges", "(2, number of edges)", "(5, 3)"),
    (lambda: masks.graph(EDGES, 2), ValueError, "edges", "nodes - 1 = 1", "[[0, 1], [1, 2]]"),
    (lambda: masks.graph(EDGES - 1, 3), ValueError, "edges", "between 0", "[[-1, 0], [0, 1]]"),
    (lambda: masks.graph(EDGES, -1), ValueError, "nodes", "at least 0", "-1"),
    (lambda: masks.graph(EDGES, 3.0), TypeError, "nodes", "integer", "float"),
    (lambda: masks.graph(EDGES, 3, self_loops=1), TypeError, "self_loops", "True or False", "int"),
]


@pytest.mark.parametrize(("call", "error", "name", "says"), [(c, e, n, x) for c, e, n, *x in OPTIONS])
def test_options(call, error, name, says):
    with refused(error, f"{name} must ", *says):
        call()
