"""From this book's mask to what each library wants, and back.

Here a mask is boolean, True where attention is allowed, and broadcasts to (batch, heads, n, m). PyTorch's
scaled_dot_product_attention, jax.nn.dot_product_attention and ONNX's Attention take it as it is. The rest is below.

Axes: n queries, m keys.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnbook._validation import check_size, shape

Mask = Bool[Tensor, "..."]


def to_additive(mask: Mask, dtype: torch.dtype = torch.float32) -> Float[Tensor, "..."]:
    """The float that is added to the scores: 0 where attention is allowed, -inf where it is not. The shape stays.

    For every library that adds its float masks: PyTorch's attention and its nn modules, `bias` in JAX and in this book.
    Raises: TypeError for a mask that is not boolean or a dtype that is not floating-point.
    """
    _check(mask)
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating-point dtype; got {dtype}")
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, -torch.inf)


def to_multihead(mask: Mask, *, heads: int, queries: int) -> Mask:
    """attn_mask of nn.MultiheadAttention; src_mask, tgt_mask, memory_mask of nn.Transformer: True where NOT allowed.

    Shape: (n, m) -> (n, m); with batch or heads in front, (batch, heads, n, m) -> (batch * heads, n, m), as those
    modules count heads within a sequence. Axes of size 1 are repeated, but for a batch, which only the mask knows.
    For padding alone use `to_key_padding`, which is smaller and keeps their fast routines.
    Raises: TypeError or ValueError for a mask that does not broadcast to (batch, heads, queries, m).
    """
    _check(mask)
    check_size("heads", heads, least=1)
    check_size("queries", queries)
    if not 2 <= mask.dim() <= 4:
        raise ValueError(f"mask must have 2 to 4 axes, (batch, heads, queries, keys); got {shape(mask)}")
    batch = mask.shape[0] if mask.dim() == 4 else 1
    size = (queries, mask.shape[-1]) if mask.dim() == 2 else (batch, heads, queries, mask.shape[-1])
    try:
        hidden = ~mask.expand(size)
    except RuntimeError:
        raise ValueError(f"mask must broadcast to (batch, heads, queries, keys) = {size}; got {shape(mask)}") from None
    return hidden if mask.dim() == 2 else hidden.flatten(0, 1)


def to_key_padding(mask: Bool[Tensor, "batch 1 1 m"]) -> Bool[Tensor, "batch m"]:
    """key_padding_mask of nn.MultiheadAttention, src_key_padding_mask and the like: True where the key is padding.

    Shape: a padding mask (batch, 1, 1, m) -> (batch, m). Raises: ValueError for any other mask.
    """
    return ~_padding(mask)


def to_keras(mask: Mask) -> Mask:
    """attention_mask of Keras's MultiHeadAttention: True where allowed, one mask for all heads.

    Shape: (batch, 1, n, m) -> (batch, n, m); (n, m) stays. Raises: ValueError for a mask that differs between heads.
    """
    _check(mask)
    if mask.dim() == 2:
        return mask
    if mask.dim() != 4 or mask.shape[1] != 1:
        raise ValueError(f"mask must have shape (n, m) or (batch, 1, n, m), the same for all heads; got {shape(mask)}")
    return mask.squeeze(1)


def to_ones(mask: Bool[Tensor, "batch 1 1 m"]) -> Int[Tensor, "batch m"]:
    """attention_mask as tokenizers and models of the `transformers` library have it: 1 for a token, 0 for padding.

    Shape: a padding mask (batch, 1, 1, m) -> (batch, m), whole numbers. Raises: ValueError for any other mask.
    """
    return _padding(mask).long()


def from_additive(bias: Float[Tensor, "..."]) -> Mask:
    """Allowed where the number that is added is 0, not where it is -inf. The shape stays.

    Raises: TypeError unless bias is floating-point; ValueError for any other number in it. A large negative one stands
    for "hidden" in some code, and 1.0 for "shown" in other code: which it is, the numbers cannot say.
    """
    if not isinstance(bias, Tensor) or not bias.is_floating_point():
        raise TypeError(f"bias must be a floating-point tensor; got {getattr(bias, 'dtype', type(bias).__name__)}")
    other = bias[(bias != 0) & (bias != -torch.inf)]
    if other.numel():
        raise ValueError(f"bias must hold only 0 and -inf to be a mask; got {other.flatten()[0].item():g}")
    return bias == 0


def from_key_padding(hidden: Bool[Tensor, "batch m"]) -> Bool[Tensor, "batch 1 1 m"]:
    """A mask of keys from a key_padding_mask, True where the key is padding.

    Raises: TypeError unless it is boolean; ValueError for another shape.
    """
    _check(hidden, "hidden")
    _check_two_axes("hidden", hidden)
    return ~hidden[:, None, None, :]


def from_ones(ones: Int[Tensor, "batch m"]) -> Bool[Tensor, "batch 1 1 m"]:
    """A mask of keys from an attention_mask of ones and zeros, as a tokenizer gives it.

    Raises: TypeError unless they are whole numbers; ValueError for another shape or number.
    """
    if not isinstance(ones, Tensor) or ones.dtype == torch.bool or ones.is_floating_point():
        raise TypeError(f"ones must be whole numbers, 1 and 0; got {getattr(ones, 'dtype', type(ones).__name__)}")
    _check_two_axes("ones", ones)
    if not ((ones == 0) | (ones == 1)).all():
        raise ValueError(f"ones must hold only 1 (a token) and 0 (padding); got {ones.unique().tolist()}")
    return (ones == 1)[:, None, None, :]


def _check(mask: object, name: str = "mask") -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(f"{name} must be a boolean tensor; got {getattr(mask, 'dtype', type(mask).__name__)}")


def _check_two_axes(name: str, x: Tensor) -> None:
    if x.dim() != 2:
        raise ValueError(f"{name} must have shape (batch, keys); got {shape(x)}")


def _padding(mask: Tensor) -> Tensor:
    """(batch, 1, 1, m) -> (batch, m)"""
    _check(mask)
    if mask.dim() != 4 or mask.shape[1:3] != (1, 1):
        raise ValueError(
            f"mask must be a padding mask (batch, 1, 1, keys), the same for all heads and queries; got {shape(mask)}"
        )
    return mask[:, 0, 0]
