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
    """(b, n, h, d); True in the mask, (b, h, n, m), may be seen; no weights."""
    import jax

    jax.config.update("jax_enable_x64", True)  # or float64 becomes float32
    if mask is not None:
        mask = mask[(None,) * (4 - mask.ndim)]
    query, key, value = map(jax.numpy.asarray, (query, key, value))
    output = jax.nn.dot_product_attention(query, key, value, mask=mask, is_causal=causal)
    return np.array(output), None
