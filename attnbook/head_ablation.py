"""Taking heads out of a trained model for a moment: what they hand on is replaced by 0."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from attnbook.multihead import MultiHeadAttention


@contextmanager
def without_heads(model: nn.Module, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Inside the `with` block the outputs of these heads, (layer, head) each, are 0; afterwards all is as before.

    Layers count the model's `MultiHeadAttention`s in order. What a head hands on is set to 0 before the output
    projection joins the heads. (To put in the head's mean output instead is a milder ablation.)
    Raises: ValueError for a layer or head that is not there.
    Source: Michel et al. (2019), Section 2.3, which zeroes heads in the same place.
    """
    attentions = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    chosen = defaultdict(list)
    for layer, head in heads:
        if not (0 <= layer < len(attentions) and 0 <= head < attentions[layer].n_heads):
            raise ValueError(f"heads must be (layer, head) pairs of the model; got ({layer}, {head})")
        chosen[layer].append(head)
    hooks = [
        attentions[layer].out_proj.register_forward_pre_hook(_zeroing(out, attentions[layer].d_head))
        for layer, out in chosen.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _zeroing(heads: list[int], d_head: int):
    def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        joined = inputs[0].unflatten(-1, (-1, d_head)).clone()  # (batch, n, n_heads, d_head)
        joined[:, :, heads] = 0
        return (joined.flatten(-2),)

    return hook
