"""Each wrong input of attention is refused by an error that names the argument, what was expected and what came."""

import pytest
import torch

from attnbook import attention, attention_weights, scaled_dot_product_attention
from attnbook.scores import dot
from tests.attnbook.reference import refused

pytestmark = pytest.mark.usefixtures("own_errors")

FORMS = {"readable": attention, "fused": scaled_dot_product_attention}
Q, K, V = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 7, 5), torch.zeros(2, 3, 7, 6)
META = torch.device("meta")


BOTH = [
    # changed arguments, error, how it starts (the name first), what it says then (what was expected, what came)
    ({"query": [[1.0]]}, TypeError, "query must be a torch.Tensor", "(..., length, dim)", "list"),
    ({"key": None}, TypeError, "key must be a torch.Tensor", "NoneType"),
    ({"value": 3.0}, TypeError, "value must be a torch.Tensor", "float"),
    ({"query": Q.long()}, TypeError, "query must be a floating-point tensor", "torch.int64"),
    ({"key": K > 0}, TypeError, "key must be a floating-point tensor", "torch.bool"),
    ({"value": V.to(torch.complex64)}, TypeError, "value must be a floating-point tensor", "torch.complex64"),
    ({"query": torch.zeros(5)}, ValueError, "query must have shape (..., length, dim)", "at least 2", "(5,)"),
    ({"key": torch.tensor(1.0)}, ValueError, "key must have shape (..., length, dim)", "()"),
    ({"value": torch.zeros(7)}, ValueError, "value must have shape (..., length, dim)", "(7,)"),
    ({"key": K.double()}, TypeError, "key must have the dtype of query", "torch.float32", "torch.float64"),
    ({"value": V.half()}, TypeError, "value must have the dtype of query", "torch.float32", "torch.float16"),
    ({"key": K.to(META)}, ValueError, "key must be on the device of query", "cpu", "meta"),
    ({"value": V.to(META)}, ValueError, "value must be on the device of query", "cpu", "meta"),
    ({"key": K[..., :4]}, ValueError, "key must have last axis 5", "size of the query", "(2, 3, 7, 4)"),
    ({"value": V[:, :, :6]}, ValueError, "value must have one row for each key, 7", "(2, 3, 6, 6)"),
    ({"key": torch.zeros(4, 3, 7, 5)}, ValueError, "key must have leading axes", "query, (2, 3)", "(4, 3, 7, 5)"),
    ({"value": torch.zeros(4, 3, 7, 6)}, ValueError, "value must have leading axes", "and key, (2, 3)", "(4, 3, 7, 6)"),
    ({"key": torch.zeros(2, 2, 7, 5)}, ValueError, "key must have heads", "divides the query's, 3", "(2, 2, 7, 5)"),
    ({"value": torch.zeros(2, 2, 7, 6)}, ValueError, "value must have heads", "divides the query's, 3", "(2, 2, 7, 6)"),
    ({"query": Q[..., :0], "key": K[..., :0]}, ValueError, "key must have at least one component", "(2, 3, 7, 0)"),
    ({"mask": [[True]]}, TypeError, "mask must be a boolean tensor", "True where attention is allowed", "list"),
    ({"mask": torch.zeros(4, 7)}, TypeError, "mask must be boolean", "True where", "torch.float32", "bias"),
    ({"mask": torch.ones(4, 7, dtype=torch.long)}, TypeError, "mask must be boolean", "True where", "torch.int64"),
    ({"mask": torch.ones(7, 4) > 0}, ValueError, "mask must broadcast", "(2, 3, 4, 7)", "(7, 4)"),
    ({"mask": torch.ones(1, 2, 3, 4, 7) > 0}, ValueError, "mask must broadcast", "(2, 3, 4, 7)", "(1, 2, 3, 4, 7)"),
    # The values' own leading axes are not the scores'.
    (
        {"query": Q[:1], "key": K[:1], "mask": torch.ones(2, 1, 4, 7) > 0},
        ValueError,
        "mask must broadcast",
        "(1, 3, 4, 7)",
        "(2, 1, 4, 7)",
    ),
    ({"mask": torch.ones(4, 7, device=META) > 0}, ValueError, "mask must be on the device of the scores, cpu", "meta"),
    ({"bias": 0.5}, TypeError, "bias must be a floating-point torch.Tensor", "float"),
    ({"bias": torch.ones(4, 7) > 0}, TypeError, "bias must be a floating-point tensor", "torch.bool", "mask"),
    ({"bias": torch.ones(4, 7, dtype=torch.int32)}, TypeError, "bias must be a floating-point tensor", "torch.int32"),
    ({"bias": torch.ones(3, 4, 6)}, ValueError, "bias must broadcast", "(2, 3, 4, 7)", "(3, 4, 6)"),
    ({"bias": torch.ones(4, 7, device=META)}, ValueError, "bias must be on the device of the scores, cpu", "meta"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("changed", "error", "starts", "says"), [(c, e, s, x) for c, e, s, *x in BOTH])
def test_attention_in_both_forms(form, changed, error, starts, says):
    arguments = {"query": Q, "key": K, "value": V} | changed
    with refused(error, starts, *says):
        FORMS[form](**arguments)


READABLE = [
    (3, TypeError, "score must be callable", "int"),
    (lambda q, k: [[0.0]], TypeError, "score must return a torch.Tensor of shape (2, 3, 4, 7)", "list"),
    (lambda q, k: dot(k, q), ValueError, "score must return shape", "(2, 3, 4, 7)", "(2, 3, 7, 4)"),
    (lambda q, k: dot(q, k)[0], ValueError, "score must return shape", "(2, 3, 4, 7)", "(3, 4, 7)"),
    (lambda q, k: dot(q, k).long(), TypeError, "scores must be a floating-point tensor", "torch.int64"),
]


@pytest.mark.parametrize(("score", "error", "starts", "says"), [(f, e, s, x) for f, e, s, *x in READABLE])
def test_a_score_that_is_none(score, error, starts, says):
    with refused(error, starts, *says):
        attention(Q, K, V, score=score)


FUSED = [
    ({"causal": 1}, TypeError, "causal must be True or False", "int"),
    ({"causal": torch.ones(4, 7) > 0}, TypeError, "causal must be True or False", "Tensor"),
    ({"scale": "sqrt"}, TypeError, "scale must be a number", "str"),
    ({"scale": True}, TypeError, "scale must be a number", "bool"),
    ({"scale": torch.tensor(1.0)}, TypeError, "scale must be a number", "Tensor"),
    ({"scale": float("inf")}, ValueError, "scale must be finite", "inf"),
    ({"scale": float("nan")}, ValueError, "scale must be finite", "nan"),
]


@pytest.mark.parametrize(("options", "error", "starts", "says"), [(o, e, s, x) for o, e, s, *x in FUSED])
def test_options_of_the_fused_form(options, error, starts, says):
    with refused(error, starts, *says):
        scaled_dot_product_attention(Q, K, V, **options)
    with refused(error, starts, *says):  # also where there is nothing to compute
        scaled_dot_product_attention(Q[:, :, :0], K, V, **options)


WEIGHTS = [
    ((None,), TypeError, "scores must be a torch.Tensor", "NoneType"),
    ((torch.ones(4, 7).long(),), TypeError, "scores must be a floating-point tensor", "torch.int64"),
    ((torch.ones(7),), ValueError, "scores must have shape", "(7,)"),
    ((torch.ones(4, 7), torch.ones(4, 7)), TypeError, "mask must be boolean", "torch.float32"),
    ((torch.ones(4, 7), True), TypeError, "mask must be a boolean tensor", "bool"),
    ((torch.ones(4, 7), torch.ones(2, 4, 7) > 0), ValueError, "mask must broadcast", "(4, 7)", "(2, 4, 7)"),
    ((torch.ones(4, 7), torch.ones(4, 6) > 0), ValueError, "mask must broadcast", "(4, 7)", "(4, 6)"),
]


@pytest.mark.parametrize(("arguments", "error", "starts", "says"), [(a, e, s, x) for a, e, s, *x in WEIGHTS])
def test_weights(arguments, error, starts, says):
    with refused(error, starts, *says):
        attention_weights(*arguments)
