"""Each wrong argument of a score is refused by an error that names it, what was expected and what came."""

import pytest
import torch

from attnbook.scores import Additive, Concat, General, Location, cosine, dot, scaled_dot
from tests.attnbook.reference import refused

pytestmark = pytest.mark.usefixtures("own_errors")

Q, K, V = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 7, 5), torch.zeros(2, 3, 7, 6)
META = torch.device("meta")

SCORES = {
    "dot": dot,
    "scaled_dot": scaled_dot,
    "cosine": cosine,
    "General": General(5, 5),
    "Additive": Additive(5, 5, 4),
    "Concat": Concat(5, 5, 4),
    "Location": Location(5, 9),
}
PAIRS = [
    (([1.0], K), TypeError, "query must be a torch.Tensor", "list"),
    ((Q, "key"), TypeError, "key must be a torch.Tensor", "str"),
    ((Q.long(), K), TypeError, "query must be a floating-point tensor", "torch.int64"),
    ((Q, K.long()), TypeError, "key must be a floating-point tensor", "torch.int64"),
    ((Q[0, 0, 0], K), ValueError, "query must have shape (..., length, dim)", "(5,)"),
    ((Q, K[0, 0, 0]), ValueError, "key must have shape (..., length, dim)", "(5,)"),
    ((Q, K.double()), TypeError, "key must have the dtype of query", "torch.float32", "torch.float64"),
    ((Q, K.to(META)), ValueError, "key must be on the device of query", "cpu", "meta"),
    ((Q, torch.zeros(2, 4, 7, 5)), ValueError, "key must have leading axes", "query, (2, 3)", "(2, 4, 7, 5)"),
]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("pair", "error", "starts", "says"), [(p, e, s, x) for p, e, s, *x in PAIRS])
def test_what_every_score_refuses(name, pair, error, starts, says):
    with refused(error, starts, *says):
        SCORES[name](*pair)


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "cosine"])
def test_sizes_that_cannot_be_multiplied(name):
    with refused(ValueError, "key must have last axis 5", "size of the query", "(2, 3, 7, 4)"):
        SCORES[name](Q, K[..., :4])


def test_no_components_to_scale_by():
    with refused(ValueError, "key must have at least one component", "sqrt(d_k)", "(2, 3, 7, 0)"):
        scaled_dot(Q[..., :0], K[..., :0])


@pytest.mark.parametrize("name", ["General", "Additive", "Concat", "Location"])
def test_sizes_and_dtypes_other_than_the_score_learned(name):
    with refused(ValueError, "query must have last axis 5", "d_query", "(2, 3, 4, 4)"):
        SCORES[name](Q[..., :4], K)
    with refused(TypeError, "query must have the dtype of the score's weights, torch.float32", "torch.float64"):
        SCORES[name](Q.double(), K.double())
    with refused(ValueError, "query must be on the device of the score's weights, cpu", "meta"):
        SCORES[name](Q.to(META), K.to(META))
    if name == "Location":
        with refused(ValueError, "key must have at most max_keys = 9 rows", "(2, 3, 10, 5)"):
            SCORES[name](Q, torch.zeros(2, 3, 10, 5))
    else:
        with refused(ValueError, "key must have last axis 5", "d_key", "(2, 3, 7, 6)"):
            SCORES[name](Q, V)


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (General, ["d_query", "d_key"]),
        (Additive, ["d_query", "d_key", "d_hidden"]),
        (Concat, ["d_query", "d_key", "d_hidden"]),
        (Location, ["d_query", "max_keys"]),
    ],
)
def test_sizes_of_learned_scores(form, names):
    for name in names:
        with refused(ValueError, f"{name} must be at least 1", "got 0"):
            form(**(dict.fromkeys(names, 3) | {name: 0}))
        with refused(TypeError, f"{name} must be an integer", "float"):
            form(**(dict.fromkeys(names, 3) | {name: 2.0}))


@pytest.mark.parametrize(
    ("temperature", "error", "says"),
    [
        (0, ValueError, ["must be positive", "got 0"]),
        (-0.5, ValueError, ["must be positive", "got -0.5"]),
        (float("nan"), ValueError, ["must be positive", "got nan"]),
        (torch.tensor(-2.0), ValueError, ["must be positive", "got -2"]),
        (torch.ones(2), ValueError, ["must be a single number", "(2,)"]),
        ("warm", TypeError, ["must be a number", "str"]),
        (None, TypeError, ["must be a number", "NoneType"]),
    ],
)
def test_temperature(temperature, error, says):
    with refused(error, "temperature", *says):
        cosine(Q, K, temperature=temperature)
