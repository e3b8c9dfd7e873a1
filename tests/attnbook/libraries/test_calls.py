"""Every library's call gives what plain NumPy gives; a missing library says so."""

import inspect
import json
import subprocess
import sys

import jaxtyping
import numpy as np
import pytest
import torch

from attnbook import masks
from attnbook.libraries import FORMS, ask, keras_calls, keras_process, missing
from attnbook.libraries.forms import BACK, INTO
from tests.attnbook.reference import inputs

BY_NAME = {form.name: form for form in FORMS}
PADDING = masks.padding(torch.tensor([6, 2]), 6)
KEYS_ONLY = {"Keras/PyTorch Attention", "Keras/TF Attention"}
SHARES_HEADS = {"attnbook attention", "attnbook SDPA", "PyTorch SDPA", "PyTorch flex", "JAX", "transformers eager"}
SHARES_HEADS |= {"transformers sdpa", "ONNX Attention"}
OWN_CAUSAL = {form.name for form in FORMS if form.takes("causal")} - {"PyTorch multihead"}


def by_numpy(query, key, value, mask=None):
    """Softmax attention in float64, written once more."""
    q, k, v = (x.double().numpy() for x in (query, key, value))
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    e = np.exp(np.einsum("bhnd,bhmd->bhnm", q, k) / np.sqrt(q.shape[-1]))
    if mask is not None:
        e = e * mask.numpy()
    return torch.from_numpy(np.einsum("bhnm,bhmd->bhnd", e / e.sum(-1, keepdims=True), v))


def some(heads=4, key_heads=4, n=6, dtype=torch.float32):
    return inputs((2, heads, n, 8), (2, key_heads, 6, 8), (2, key_heads, 6, 8), dtype=dtype)


def same(found, expected, dtype=torch.float32):
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", BY_NAME)
def test_without_a_mask_and_with_fewer_queries(name):
    for n in (6, 3):
        x = some(n=n)
        same(ask(BY_NAME[name], *x)[0], by_numpy(*x))


@pytest.mark.parametrize("name", BY_NAME)
def test_padding(name):
    x = some()
    same(ask(BY_NAME[name], *x, mask=PADDING)[0], by_numpy(*x, mask=PADDING))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_mask_of_pairs(name, own_errors):
    x = some()
    pairs = (torch.rand(2, 1, 6, 6) < 0.5) | torch.eye(6, dtype=torch.bool)
    if name in KEYS_ONLY:
        with pytest.raises(ValueError, match="must be a padding mask"):
            ask(BY_NAME[name], *x, mask=pairs)
    else:
        same(ask(BY_NAME[name], *x, mask=pairs)[0], by_numpy(*x, mask=pairs))


@pytest.mark.parametrize("name", sorted(OWN_CAUSAL))
def test_the_own_causal_option_on_a_square(name):
    x = some()
    same(ask(BY_NAME[name], *x, causal=True)[0], by_numpy(*x, mask=torch.ones(6, 6).tril() > 0))


@pytest.mark.parametrize("name", BY_NAME)
def test_grouped_heads(name):
    x = some(key_heads=2)
    if name in SHARES_HEADS:
        same(ask(BY_NAME[name], *x)[0], by_numpy(*x))
    else:
        with pytest.raises((RuntimeError, ValueError)):
            ask(BY_NAME[name], *x)


@pytest.mark.parametrize("name", BY_NAME)
def test_double_precision(name):
    """What chapter 15 says about it: who stays double, and where the others do not."""
    x = some(dtype=torch.float64)
    found, _ = ask(BY_NAME[name], *x)
    gap = (found.double() - by_numpy(*x)).abs().max().item()
    rounded = {"Keras/PyTorch Attention", "Keras/TF multihead", "JAX", "transformers eager"}
    assert (1e-10 < gap < 1e-6) if name in rounded else gap < 1e-13
    assert found.dtype == (torch.float32 if name == "Keras/PyTorch Attention" else torch.float64)
    if name == "Keras/TF multihead":  # its scale was rounded to float32, and nothing else
        exact = float(np.float32(1 / np.sqrt(np.float32(8)))) * np.sqrt(8)
        assert (found - by_numpy(x[0] * exact, *x[1:])).abs().max() < 1e-13


@pytest.mark.parametrize("layout", INTO)
def test_layouts_there_and_back(layout):
    (x,) = inputs((2, 3, 5, 4))
    there = INTO[layout](x)
    assert torch.equal(BACK[layout](there, 3), x)
    expected = {
        "bhnd": "bhnd->bhnd",
        "bnhd": "bhnd->bnhd",
        "bn(hd)": "bhnd->bnhd",
        "nb(hd)": "bhnd->nbhd",
        "(bh)nd": "bhnd->bhnd",
    }[layout]
    assert torch.equal(there, torch.einsum(expected, x).reshape(there.shape))


def test_weights_that_come_back():
    x = some()
    e = torch.einsum("bhnd,bhmd->bhnm", *x[:2]).div(8**0.5).softmax(dim=-1)
    expected = {
        "attnbook attention": e,
        "PyTorch multihead": e.mean(dim=1),
        "Keras/PyTorch Attention": e.flatten(0, 1),
        "Keras/PyTorch multihead": e,
        "Keras/TF Attention": e.flatten(0, 1),
        "Keras/TF multihead": e,
        "transformers eager": e,
        "ONNX Attention": e,
    }
    for name, form in BY_NAME.items():
        _, weights = ask(form, *x)
        assert (weights is None) == (name not in expected), name
        if weights is not None:
            torch.testing.assert_close(weights, expected[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("JAX", "jax"),
        ("ONNX Attention", "onnx"),
        ("transformers sdpa", "transformers"),
        ("Keras/TF multihead", "keras"),
    ],
)
def test_a_missing_library_is_named_with_the_remedy(name, package, monkeypatch):
    form = BY_NAME[name]
    assert missing(form) == []
    monkeypatch.setitem(sys.modules, package, None)  # as Python marks what cannot be imported
    assert missing(form) == [package]
    with pytest.raises(ModuleNotFoundError, match=rf"^{name} needs {package}: install .*attnbook\[libraries\]"):
        ask(form, *some())


def test_both_missing_packages_are_named(monkeypatch):
    for package in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"^Keras/TF Attention needs keras and tensorflow: "):
        ask(BY_NAME["Keras/TF Attention"], *some())
    assert [form.name for form in FORMS if missing(form)] == [name for name in BY_NAME if "Keras" in name]


def test_nothing_is_imported_before_it_is_asked():
    code = "import sys, attnbook.libraries as l; [l.missing(f) for f in l.FORMS]\n"
    code += "print([x for x in ('jax', 'keras', 'tensorflow', 'onnx', 'transformers') if x in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n" and run.stderr == ""


@pytest.mark.parametrize("option", ["causal", "dropout", "training", "weights"])
def test_an_option_that_the_routine_does_not_have(option):
    form = BY_NAME["PyTorch flex"]
    assert not form.takes(option)
    with pytest.raises(TypeError, match=option):
        ask(form, *some(), **{option: True})


def test_the_libraries_that_have_no_dropout_know_no_such_argument():
    import jax
    import onnx
    from torch.nn.attention.flex_attention import flex_attention

    for function in (jax.nn.dot_product_attention, flex_attention):
        assert not any("dropout" in name for name in inspect.signature(function).parameters)
    assert not any("dropout" in name for name in onnx.defs.get_schema("Attention").attributes)


def test_multihead_refuses_its_own_flag_without_a_mask():
    with pytest.raises(RuntimeError, match="Need attn_mask"):
        ask(BY_NAME["PyTorch multihead"], *some(), causal=True)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_keras_runs_on_the_backend_it_was_asked_for(backend):
    x = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        keras_process.on_backend(keras_calls.multihead, backend)(x, x, x, heads=0)
    assert keras_process.backend_of(backend) == backend  # an error does not end the process


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_arrays_travel_exactly(dtype):
    array = np.array([[0.1, -1e-300, np.inf], [np.nan, 0, 1 / 3]]).astype(dtype)
    back = keras_calls.unpack(json.loads(json.dumps(keras_calls.pack(array))))
    assert back.dtype == array.dtype and np.array_equal(back, array, equal_nan=dtype != "bool")
    assert keras_calls.unpack(json.loads(json.dumps(keras_calls.pack(None)))) is None


def test_nothing_is_printed(capfd):
    for form in FORMS:
        ask(form, *some(), mask=PADDING)
    assert capfd.readouterr() == ("", "")


def test_projections_are_those_of_nn_linear():
    torch.manual_seed(1)
    layer = torch.nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    x = torch.randn(2, 5, 8)
    matrices = np.stack([*layer.in_proj_weight.detach().view(3, 8, 8).numpy(), layer.out_proj.weight.detach().numpy()])
    expected, _ = layer(x, x, x)
    for name in ("Keras/PyTorch multihead", "Keras/TF multihead"):
        found, _ = BY_NAME[name].call(x, x, x, heads=2, projections=matrices)
        torch.testing.assert_close(found, expected.detach(), atol=1e-6, rtol=0)
    assert keras_process.tf_keras_is_keras()


def test_shapes_are_checked():
    with pytest.raises(jaxtyping.TypeCheckError):
        ask(BY_NAME["JAX"], torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), torch.zeros(2, 3, 4))


def test_a_process_that_ended_is_reported_and_will_be_replaced():
    call = keras_process.on_backend(keras_calls.attention, "torch")
    x = np.eye(2, dtype=np.float32)[None]
    call(x, x, x)
    process = keras_process._process("torch")
    before = keras_process._process.cache_info().currsize
    process.kill()
    process.wait()
    with pytest.raises(RuntimeError, match="Keras on torch ended, exit status -9"):
        call(x, x, x)
    assert keras_process._process.cache_info().currsize < before  # the next request starts a new one
