"""Hugging Face's transformers: two of the functions that its models call between their projections.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor, nn

Array = Float[Tensor, "..."]
Mask = Bool[Tensor, "..."] | Float[Tensor, "..."]
Answer = tuple[Array, Array | None]


def eager(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Mask | None = None,
    dropout: float = 0.0,
    training: bool = False,
) -> Answer:
    """Llama's: (b, h, n, d) in, (b, n, h, d) out; the mask is added."""
    from transformers.models.llama.modeling_llama import eager_attention_forward

    return _call(eager_attention_forward, query, key, value, mask, dropout, training)


def sdpa(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Mask | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Answer:
    """(b, h, n, d) in, (b, n, h, d) out; True may be seen; no weights.

    It drops in any mode: a model passes 0 outside training.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return _call(sdpa_attention_forward, query, key, value, mask, dropout, training=True, is_causal=causal)


def _call(
    function: Callable,
    query: Array,
    key: Array,
    value: Array,
    mask: Mask | None,
    dropout: float,
    training: bool,
    **options: bool,
) -> Answer:
    """With a bare module in the place of the model's layer."""
    module = nn.Module().train(training)
    module.num_key_value_groups = query.shape[1] // key.shape[1]
    options |= {"scaling": query.shape[-1] ** -0.5, "dropout": dropout}
    return function(module, query, key, value, mask, **options)
