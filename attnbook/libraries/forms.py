"""Every routine that the book compares, and the one way to ask them: this book's tensors in, this book's tensors out.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attnbook import mask_conventions
from attnbook.attention import attention
from attnbook.fused import scaled_dot_product_attention
from attnbook.libraries import jax_calls, keras_calls, onnx_calls, pytorch_calls, transformers_calls
from attnbook.libraries.keras_process import on_backend

Query = Float[Tensor, "b h n d"]
Keys = Float[Tensor, "b _ m d"]
Mask = Bool[Tensor, "..."]
Answer = tuple[Tensor, Tensor | None]

# From (b, h, n, d) to each layout and back. `hd` is all heads of a position, side by side.
INTO = {
    "bhnd": lambda x: x,
    "bnhd": lambda x: x.transpose(1, 2),
    "bn(hd)": lambda x: x.transpose(1, 2).flatten(2),
    "nb(hd)": lambda x: x.transpose(1, 2).flatten(2).transpose(0, 1),
    "(bh)nd": lambda x: x.flatten(0, 1),
}
BACK = {
    "bhnd": lambda x, heads: x,
    "bnhd": lambda x, heads: x.transpose(1, 2),
    "bn(hd)": lambda x, heads: x.unflatten(-1, (heads, -1)).transpose(1, 2),
    "nb(hd)": lambda x, heads: x.transpose(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2),
    "(bh)nd": lambda x, heads: x.unflatten(0, (-1, heads)),
}


@dataclass(frozen=True)
class Form:
    """One routine: its name in tables, its call, the layout it takes, and how this book's mask becomes its own.

    packages: what must be installed. layout_out: of the output, where it is another one than the input's.
    to_mask: (mask, heads, queries) -> its mask.
    """

    name: str
    call: Callable[..., Answer]
    layout: str
    to_mask: Callable[[Tensor, int, int], Tensor]
    packages: tuple[str, ...] = ()
    layout_out: str = ""

    def takes(self, option: str) -> bool:
        """Whether the routine has that option: mask, causal, dropout, training, weights."""
        return option in inspect.signature(self.call).parameters


def missing(form: Form) -> list[str]:
    """The packages of the form that are not installed here. Nothing is imported."""
    return [package for package in form.packages if find_spec(package) is None]


def ask(
    form: Form,
    query: Query,
    key: Keys,
    value: Keys,
    *,
    mask: Mask | None = None,
    raw: bool = False,
    **options: object,
) -> Answer:
    """Output (b, h, n, d) and what weights the routine returns, if any, in its own shape.

    mask: this book's, True where attention is allowed; with raw=True it is handed over as it stands. options go to the
    routine. Raises: ModuleNotFoundError with the remedy if a package is missing; TypeError for an option that the
    routine does not have; whatever the library raises.
    """
    absent = missing(form)
    if absent:
        raise ModuleNotFoundError(
            f"{form.name} needs {' and '.join(absent)}: install with `pip install 'attnbook[libraries]'`."
        )
    heads = query.shape[1]
    if mask is not None and not raw:
        mask = form.to_mask(mask, heads, query.shape[2])
    if form.takes("heads"):
        options["heads"] = heads
    arrays = [INTO[form.layout](x) for x in (query, key, value)]
    output, weights = form.call(*arrays, mask=mask, **options)
    return BACK[form.layout_out or form.layout](output, heads), weights


def on_numpy(call: Callable[..., tuple]) -> Callable[..., Answer]:
    """A call on NumPy arrays as one on tensors."""

    def wrapped(*arrays: Tensor, mask: Tensor | None = None, **options: object) -> Answer:
        mask = None if mask is None else mask.numpy()
        answer = call(*(x.contiguous().numpy() for x in arrays), mask=mask, **options)
        return tuple(None if x is None else torch.from_numpy(np.array(x)) for x in answer)

    wrapped.__wrapped__ = call  # for inspect.signature
    return wrapped


def _attention(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None) -> Answer:
    return attention(query, key, value, mask=mask)


def _fused(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Answer:
    return scaled_dot_product_attention(query, key, value, mask=mask, causal=causal), None


def _same(mask: Tensor, heads: int, queries: int) -> Tensor:
    return mask


def _multihead(mask: Tensor, heads: int, queries: int) -> Tensor:
    return mask_conventions.to_multihead(mask, heads=heads, queries=queries)


def _keras(mask: Tensor, heads: int, queries: int) -> Tensor:
    mask = mask_conventions.to_keras(mask)
    return mask.expand(*mask.shape[:-2], queries, mask.shape[-1])


def _keys_of_each_head(mask: Tensor, heads: int, queries: int) -> Tensor:
    """(b, 1, 1, m) -> (b * h, m), True may be seen; ValueError for any mask that is not one of keys."""
    return ~mask_conventions.to_key_padding(mask).repeat_interleave(heads, dim=0)


def _additive(mask: Tensor, heads: int, queries: int) -> Tensor:
    return mask_conventions.to_additive(mask)


def _on_keras(call: Callable[..., tuple], backend: str) -> Callable[..., Answer]:
    return on_numpy(on_backend(call, backend))


KERAS_TORCH, KERAS_TF = ("keras",), ("keras", "tensorflow")

FORMS = (
    Form("attnbook attention", _attention, "bhnd", _same),
    Form("attnbook SDPA", _fused, "bhnd", _same),
    Form("PyTorch SDPA", pytorch_calls.sdpa, "bhnd", _same),
    Form("PyTorch flex", pytorch_calls.flex, "bhnd", _same),
    Form("PyTorch multihead", pytorch_calls.multihead, "nb(hd)", _multihead),
    Form(
        "Keras/PyTorch Attention", _on_keras(keras_calls.attention, "torch"), "(bh)nd", _keys_of_each_head, KERAS_TORCH
    ),
    Form("Keras/PyTorch multihead", _on_keras(keras_calls.multihead, "torch"), "bn(hd)", _keras, KERAS_TORCH),
    Form("Keras/TF Attention", _on_keras(keras_calls.attention, "tensorflow"), "(bh)nd", _keys_of_each_head, KERAS_TF),
    Form("Keras/TF multihead", _on_keras(keras_calls.multihead, "tensorflow"), "bn(hd)", _keras, KERAS_TF),
    Form("JAX", on_numpy(jax_calls.dot_product), "bnhd", _same, ("jax",)),
    Form("transformers eager", transformers_calls.eager, "bhnd", _additive, ("transformers",), "bnhd"),
    Form("transformers sdpa", transformers_calls.sdpa, "bhnd", _same, ("transformers",), "bnhd"),
    Form("ONNX Attention", on_numpy(onnx_calls.attention_node), "bhnd", _same, ("onnx",)),
)
