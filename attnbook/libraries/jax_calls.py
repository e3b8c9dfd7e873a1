"""JAX: jax.nn.dot_product_attention. NumPy in, NumPy out.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

import numpy as np


def dot_product(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    causal: bool = False,
) -> tuple[np.ndarray, None]:
    """(b, n, h, d); the mask has four axes, (b, h, n, m), True may be seen; no weights, no dropout."""
    import jax

    jax.config.update("jax_enable_x64", True)  # else float64 is rounded to float32 without a word
    if mask is not None:
        mask = mask[(None,) * (4 - mask.ndim)]
    query, key, value = map(jax.numpy.asarray, (query, key, value))
    output = jax.nn.dot_product_attention(query, key, value, mask=mask, is_causal=causal)
    return np.array(output), None
