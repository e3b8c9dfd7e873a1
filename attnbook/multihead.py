"""Multi-head attention: several attentions side by side, each on a projection of its own.

Project, split into heads, attend, join the heads, project. One class serves multi-head, grouped-query and multi-query
attention, in self- and cross-attention.

Axes: n queries, m keys and values, d_model the size of the vectors that come in and go out.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnbook import _interchange as interchange
from attnbook import masks
from attnbook._heads import share_heads
from attnbook._validation import (
    check_bias,
    check_dim,
    check_flag,
    check_mask,
    check_number,
    check_same_kind,
    check_size,
    check_vectors,
    shape,
)
from attnbook.attention import Bias, Mask, attention
from attnbook.cache import Cache
from attnbook.fused import scaled_dot_product_attention
from attnbook.scores import widen


class MultiHeadAttention(nn.Module):
    """head_h = attention(X W_q^h, Y W_k^h, Y W_v^h); output = [head_1; ...; head_h] W_o.

    n_kv_heads: heads of keys and values. n_heads of them (the default) is multi-head attention; fewer is grouped-query
    attention, each serving n_heads / n_kv_heads neighboring query heads; 1 is multi-query attention.
    d_head: the size of a head, d_model / n_heads if not given. bias: whether the four projections add one.
    dropout: the share of weights set to 0 while training, the others scaled up, so that a row need not sum to 1. The
    fused path has none, so that such a model trains on the readable one.
    rotary: turns queries and keys by their positions, called as rotary(x, start=position of the first); it serves
    self-attention, as two sequences share no positions.
    The projections start Xavier-uniform, each by itself, with zero biases. PyTorch's own module draws the three input
    projections as one 3 d_model x d_model matrix, which makes them smaller by the square root of 2.
    Raises: TypeError or ValueError for sizes that are not whole numbers of at least 1 or do not divide.
    Source: Vaswani et al. (2017), Section 3.2.2; Shazeer (2019), Section 3, multi-query; Ainslie et al. (2023),
    grouped-query.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_head: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        rotary: nn.Module | None = None,
    ) -> None:
        super().__init__()
        check_size("d_model", d_model, least=1)
        check_size("n_heads", n_heads, least=1)
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        check_size("n_kv_heads", n_kv_heads, least=1)
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads must divide n_heads = {n_heads}; got {n_kv_heads}")
        if d_head is None and d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model = {d_model} unless d_head is given; got {n_heads}")
        d_head = d_model // n_heads if d_head is None else d_head
        check_size("d_head", d_head, least=1)
        check_flag("bias", bias)
        check_number("dropout", dropout)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1; got {dropout}")
        if rotary is not None and not callable(rotary):
            raise TypeError(f"rotary must be callable, (x, start) -> rotated x; got {type(rotary).__name__}")
        self.d_model, self.n_heads, self.n_kv_heads, self.d_head = d_model, n_heads, n_kv_heads, d_head
        self.dropout, self.rotary = dropout, rotary
        self.q_proj = nn.Linear(d_model, n_heads * d_head, bias=bias)
        self.k_proj = nn.Linear(d_model, n_kv_heads * d_head, bias=bias)
        self.v_proj = nn.Linear(d_model, n_kv_heads * d_head, bias=bias)
        self.out_proj = nn.Linear(n_heads * d_head, d_model, bias=bias)
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            nn.init.xavier_uniform_(projection.weight)
            if bias:
                nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Float[Tensor, "batch n d_model"],
        key: Float[Tensor, "batch m d_model"] | None = None,
        value: Float[Tensor, "batch m d_model"] | None = None,
        *,
        mask: Mask | None = None,
        bias: Bias | None = None,
        causal: bool = False,
        need_weights: bool = False,
        cache: Cache | None = None,
    ) -> tuple[Float[Tensor, "batch n d_model"], Float[Tensor, "batch n_heads n _"] | None]:
        """Output and, with need_weights, the weights of each head (else None, and the fused kernel does the work).

        Shapes: query (batch, n, d_model), key and value (batch, m, d_model) -> output (batch, n, d_model), weights
        (batch, n_heads, n, m). Without key the query attends to itself; without value the key is the value too.
        mask: boolean, True where attention is allowed; bias: added to the scores. Both broadcast to (batch, n_heads, n,
        m). causal: each query sees the keys up to its own position, aligned at the end.
        cache: keys and values of earlier positions, to which those of this call are added; the query is then what is
        new in the sequence, and m = cache.keys_for(n). Give causal=True for the numbers of a causal model without a
        cache; without it each new position sees all that the cache returns, later ones of the same call included.
        A query that may attend to nothing gets the bias of out_proj: its heads are 0.
        Raises: TypeError or ValueError that names the argument; for key with rotary or a cache, ValueError.
        """
        key, value = self._check_inputs(query, key, value, cache)
        check_flag("causal", causal)
        check_flag("need_weights", need_weights)
        batch, n, _ = query.shape
        m = key.shape[1] if cache is None else cache.keys_for(n)
        if mask is not None:
            check_mask(mask, (batch, self.n_heads, n, m), query.device)
        if bias is not None:
            check_bias(bias, (batch, self.n_heads, n, m), query.device)

        q = self._split(self.q_proj(query))  # (batch, n_heads, n, d_head)
        k = self._split(self.k_proj(key))  # (batch, n_kv_heads, m, d_head)
        v = self._split(self.v_proj(value))
        if self.rotary is not None:
            start = 0 if cache is None else cache.seen
            q, k = self.rotary(q, start=start), self.rotary(k, start=start)
        if cache is not None:
            window = cache.mask(n, query.device) if causal else None
            mask = window if mask is None else mask if window is None else mask & window
            k, v = cache.update(k, v)
        heads, weights = self._attend(q, k, v, mask, bias, causal, need_weights)
        return self.out_proj(heads.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, heads * d_head) -> (batch, heads, length, d_head); a head is d_head neighboring columns."""
        return x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)

    def _attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        causal: bool,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        drop = self.training and self.dropout > 0
        if not need_weights and not drop:
            return scaled_dot_product_attention(q, k, v, mask=mask, bias=bias, causal=causal), None
        if causal:
            past = masks.causal(q.shape[2], k.shape[2], device=q.device)
            mask = past if mask is None else mask & past
        heads, weights = attention(q, k, v, mask=mask, bias=bias)
        if drop:
            weights = F.dropout(weights, self.dropout)
            _, v = share_heads(q, k, v)
            heads = (widen(weights) @ widen(v)).to(q.dtype)
        return heads, weights if need_weights else None

    def _check_inputs(
        self, query: Tensor, key: Tensor | None, value: Tensor | None, cache: Cache | None
    ) -> tuple[Tensor, Tensor]:
        """Key and value with what is left out filled in."""
        if key is None and value is not None:
            raise ValueError("key must be given where value is; got None")
        itself = key is None or (key is query and (value is None or value is query))
        for option, what in (("rotary", self.rotary), ("a cache", cache)):
            if what is not None and not itself:
                raise ValueError(f"key must be left out with {option}, which is for self-attention; got another tensor")
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x is None:
                continue
            check_vectors(name, x)
            if x.dim() != 3:
                raise ValueError(f"{name} must have shape (batch, length, d_model); got {shape(x)}")
            check_dim(name, x, self.d_model, "d_model")
            check_same_kind(name, x, "the layer's weights", self.q_proj.weight)
            if x.shape[0] != query.shape[0]:
                raise ValueError(f"{name} must have the batch size of query, {query.shape[0]}; got shape {shape(x)}")
        key = query if key is None else key
        value = key if value is None else value
        if value.shape[1] != key.shape[1]:
            raise ValueError(f"value must have one row for each key, {key.shape[1]}; got shape {shape(value)}")
        return key, value

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "MultiHeadAttention":
        """The same attention with a copy of the weights of PyTorch's module, on its device, in its dtype and mode.

        Ours takes (batch, length, d_model) even where module.batch_first is False. Mind the masks: True there is what
        may NOT be attended to, and its attn_mask for each head has shape (batch * n_heads, n, m).
        Raises: TypeError for another kind of module; ValueError for kdim, vdim, add_bias_kv or add_zero_attn.
        """
        return interchange.from_torch(cls, module)

    def to_torch(self) -> nn.MultiheadAttention:
        """PyTorch's module with a copy of these weights, batch_first, on the same device, in the same dtype and mode.

        Raises: ValueError for what it cannot hold: fewer key heads, n_heads * d_head other than d_model, rotary.
        """
        return interchange.to_torch(self)
