"""attnbook: one readable implementation of each attention form, for the book *Attention, Executed*."""

from attnbook.attention import attention, attention_weights
from attnbook.devices import device
from attnbook.fused import scaled_dot_product_attention
from attnbook.multihead import MultiHeadAttention

__all__ = ["MultiHeadAttention", "attention", "attention_weights", "device", "scaled_dot_product_attention"]
