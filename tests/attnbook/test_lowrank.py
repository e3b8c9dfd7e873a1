"""Low-rank forms against their formulas in NumPy, against exact attention where nothing is left out."""

import numpy as np
import pytest
import torch

from attnbook import attention
from attnbook.lowrank import Linformer, linformer_attention, nystrom_attention, nystrom_weights
from tests.attnbook.reference import as_float64, check, inputs, refused


def rows_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (1, 9), (7, 4)])
def test_linformer_by_its_formula(n, m, device):
    query, key, value = inputs((2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 5), device=device)
    E, F = inputs((3, m), (3, m), seed=1, device=device)
    output = linformer_attention(query, key, value, key_projection=E, value_projection=F)
    q, k, v, e, f = map(as_float64, (query, key, value, E, F))
    check(output, rows_softmax(q @ np.swapaxes(e @ k, -1, -2) / 2) @ (f @ v), atol=1e-14)


def test_linformer_that_mixes_nothing_is_attention(device):
    x = inputs((2, 5, 4), (2, 7, 4), (2, 7, 3), device=device, grad=True)
    eye = torch.eye(7, dtype=torch.float64, device=device)
    output = linformer_attention(*x, key_projection=eye, value_projection=eye)
    exact, _ = attention(*x)
    same(output, exact, x, atol=1e-13)


def test_the_layer_uses_the_first_columns(device):
    layer = Linformer(9, 3).double().to(device)
    x = inputs((2, 5, 4), (2, 7, 4), (2, 7, 3), device=device)
    E, F = layer.key_projection[:, :7], layer.value_projection[:, :7]
    assert torch.equal(layer(*x), linformer_attention(*x, key_projection=E, value_projection=F))
    layer(*x).sum().backward()
    for weight in layer.parameters():
        assert weight.grad[:, :7].abs().min() > 0 and not weight.grad[:, 7:].any()
    assert torch.std(Linformer(1000, 50).key_projection).item() == pytest.approx(1000**-0.5, rel=0.02)


def means(x, count):
    """Means of neighbors: of floor(i n / r) to ceil((i + 1) n / r) - 1."""
    n = x.shape[-2]
    cut = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    return np.stack([x[..., a:b, :].mean(axis=-2) for a, b in cut], axis=-2)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize(("n", "m", "r"), [(8, 8, 4), (7, 10, 3), (5, 5, 1), (6, 9, 6)])
def test_nystrom_by_its_formula(shape, n, m, r, device):
    x = inputs((*shape, n, 4), (*shape, m, 4), (*shape, m, 5), device=device)
    q, k, v = map(as_float64, x)
    T = lambda a: np.swapaxes(a, -1, -2)  # noqa: E731
    one, two, three = (
        rows_softmax(a @ T(b) / 2) for a, b in ((q, means(k, r)), (means(q, r), means(k, r)), (means(q, r), k))
    )
    table = one @ np.linalg.pinv(two) @ three
    check(nystrom_weights(*x[:2], landmarks=r, exact=True), table, atol=1e-7)
    check(nystrom_attention(*x, landmarks=r, exact=True), table @ v, atol=1e-7)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("n", "r"), [(12, 4), (11, 4)])
def test_nystrom_is_its_table(n, r, exact, device):
    """Outputs and gradients."""
    x = inputs((2, n, 4), (2, n, 4), (2, n, 5), device=device, grad=True)
    expected = nystrom_weights(*x[:2], landmarks=r, exact=exact) @ x[2]
    same(nystrom_attention(*x, landmarks=r, exact=exact), expected, x, atol=1e-9)


def test_a_landmark_for_each_position_is_attention(device):
    x = inputs((2, 6, 4), (2, 6, 4), (2, 6, 5), device=device)
    torch.testing.assert_close(nystrom_attention(*x, landmarks=6, exact=True), attention(*x)[0], atol=1e-10, rtol=0)


def test_the_iteration_nears_the_inverse(device):
    """Of a table that is not hard to invert: queries that mostly see the keys at their own place."""
    key = torch.eye(8, dtype=torch.float64, device=device)
    fast = nystrom_attention(6 * key, key, key, landmarks=8)
    slow = nystrom_attention(6 * key, key, key, landmarks=8, exact=True)
    torch.testing.assert_close(fast, slow, atol=1e-6, rtol=0)


def test_equal_keys_give_the_mean(device):
    query, value = inputs((2, 10, 4), (2, 10, 3), device=device)
    key = torch.ones_like(query)
    output = nystrom_attention(query, key, value, landmarks=4, exact=True)
    torch.testing.assert_close(output, value.mean(dim=-2, keepdim=True).expand_as(output), atol=1e-12, rtol=0)


def same(actual, expected, x, atol):
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)
    upstream = torch.linspace(-1, 1, expected.numel(), dtype=expected.dtype, device=expected.device).view_as(expected)
    for a, b in zip(torch.autograd.grad(actual, x, upstream), torch.autograd.grad(expected, x, upstream), strict=True):
        torch.testing.assert_close(a, b, atol=10 * atol, rtol=0)


def test_gradients_of_linformer(device):
    """To the projections too; expected: the definition of attention on keys and values mixed before."""
    x = inputs((2, 5, 4), (2, 7, 4), (2, 7, 3), (3, 7), (3, 7), device=device, grad=True)
    q, k, v, E, F = x
    output = linformer_attention(q, k, v, key_projection=E, value_projection=F)
    expected, _ = attention(q, torch.einsum("rm,bmd->brd", E, k), torch.einsum("rm,bmd->brd", F, v))
    same(output, expected, x, atol=1e-13)


def six_steps(a):
    """Xiong et al. (2021), Eq. 16, for one matrix, from A^T / (|A|_1 |A|_inf)."""
    z = a.T / (np.abs(a).sum(axis=0).max() * np.abs(a).sum(axis=1).max())
    eye = np.eye(len(a))
    for _ in range(6):
        z = z @ (13 * eye - a @ z @ (15 * eye - a @ z @ (7 * eye - a @ z))) / 4
    return z


def test_the_six_steps_by_their_formula(device):
    """Where they are far from the inverse, so that five or seven steps give something else."""
    x = inputs((3, 9, 4), (3, 9, 4), device=device)
    q, k = map(as_float64, x)
    expected = []
    for query, key in zip(q, k, strict=True):
        one, two, three = (
            rows_softmax(a @ b.T / 2)
            for a, b in ((query, means(key, 4)), (means(query, 4), means(key, 4)), (means(query, 4), key))
        )
        expected.append(one @ six_steps(two) @ three)
        assert np.abs(two @ six_steps(two) - np.eye(4)).max() > 0.01
    check(nystrom_weights(*x, landmarks=4), np.stack(expected), atol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_gradients_by_differences(exact, device):
    x = inputs((5, 3), (6, 3), (6, 2), device=device, grad=True)
    assert torch.autograd.gradcheck(lambda *x: nystrom_attention(*x, landmarks=2, exact=exact), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_linformer_in_half_precision(dtype, device):
    """Only the output is rounded: the mixed keys and values are not."""
    q, k, v, E, F = (t.to(dtype) for t in inputs((2, 9, 8), (2, 32, 8), (2, 32, 8), (4, 32), (4, 32), device=device))
    output = linformer_attention(q, k, v, key_projection=E, value_projection=F)
    wide = linformer_attention(q.float(), k.float(), v.float(), key_projection=E.float(), value_projection=F.float())
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), wide, atol=1e-6, rtol=torch.finfo(dtype).eps / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, device):
    x = [t.to(dtype) for t in inputs((2, 16, 8), (2, 16, 8), (2, 16, 8), device=device)]
    output = nystrom_attention(*x, landmarks=4)
    wide = nystrom_attention(*(t.float() for t in x), landmarks=4)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), wide, atol=4 * torch.finfo(dtype).eps, rtol=4 * torch.finfo(dtype).eps)


X = torch.zeros(2, 5, 4), torch.zeros(2, 7, 4), torch.zeros(2, 7, 3)
E = torch.zeros(3, 7)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (
            lambda: linformer_attention(*X, key_projection=[[1.0]], value_projection=E),
            TypeError,
            "key_projection must be a torch.Tensor",
            "list",
        ),
        (
            lambda: linformer_attention(*X, key_projection=torch.zeros(3, 6), value_projection=E),
            ValueError,
            "key_projection must have shape (r, 7)",
            "(3, 6)",
        ),
        (
            lambda: linformer_attention(*X, key_projection=E, value_projection=torch.zeros(2, 7)),
            ValueError,
            "value_projection must have the shape of key_projection",
            "(2, 7)",
        ),
        (
            lambda: linformer_attention(*X, key_projection=E.double(), value_projection=E),
            TypeError,
            "key_projection must have the dtype of key",
            "float64",
        ),
        (lambda: Linformer(6, 2)(X[0], [1.0], X[2]), TypeError, "key must be a torch.Tensor", "list"),
        (lambda: Linformer(6, 2)(*X), ValueError, "key must have at most 6 rows", "(2, 7, 4)"),
        (lambda: Linformer(6, 0), ValueError, "rank must be at least 1", "0"),
        (lambda: nystrom_attention(*X, landmarks=6), ValueError, "query must have at least 6 rows", "(2, 5, 4)"),
        (lambda: nystrom_attention(*X, landmarks=0), ValueError, "landmarks must be at least 1", "0"),
        (lambda: nystrom_attention(*X, landmarks=2, exact=1), TypeError, "exact must be True or False", "int"),
        (
            lambda: nystrom_attention(X[0], X[1][..., :3], X[2], landmarks=2),
            ValueError,
            "key must have last axis 4",
            "(2, 7, 3)",
        ),
        (
            lambda: nystrom_attention(X[0], X[1], X[2][:, :6], landmarks=2),
            ValueError,
            "value must have one row for each key, 7",
            "(2, 6, 3)",
        ),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
