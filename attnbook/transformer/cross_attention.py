"""Cross-attention: the queries come from what is being written, keys and values from what was read, the memory."""

from jaxtyping import Float, Int
from torch import Tensor

from attnbook.attention import Mask
from attnbook.multihead import MultiHeadAttention


class MemoryCache:
    """The memory's keys and values, computed once: the memory does not change while the target is written."""

    def __init__(self) -> None:
        self.key_and_value: tuple[Tensor, Tensor] | None = None

    def reorder(self, index: Int[Tensor, " new_batch"]) -> None:
        """Row b of the batch goes on with the memory of row index[b]."""
        if self.key_and_value is not None:
            self.key_and_value = tuple(x.index_select(0, index) for x in self.key_and_value)


class CrossAttention(MultiHeadAttention):
    """Multi-head attention to a memory, which may be cached. Everything else is as in `MultiHeadAttention`.

    Source: Vaswani et al. (2017), Section 3.2.3, "encoder-decoder attention".
    """

    def forward(
        self,
        query: Float[Tensor, "batch n d_model"],
        memory: Float[Tensor, "batch m d_model"],
        *,
        mask: Mask | None = None,
        need_weights: bool = False,
        cache: MemoryCache | None = None,
    ) -> tuple[Float[Tensor, "batch n d_model"], Float[Tensor, "batch n_heads n m"] | None]:
        """As `MultiHeadAttention`. With a cache that is filled already, the memory is not looked at again."""
        if cache is None:
            return super().forward(query, memory, mask=mask, need_weights=need_weights)
        if cache.key_and_value is None:
            cache.key_and_value = self._split(self.k_proj(memory)), self._split(self.v_proj(memory))
        q = self._split(self.q_proj(query))
        heads, weights = self._attend(q, *cache.key_and_value, mask, None, False, need_weights)
        return self.out_proj(heads.transpose(1, 2).flatten(2)), weights
