"""Key/value caches: a model that writes one position at a time keeps the keys and values of those before it.

Without one, each new position would project all earlier ones again. Each layer has a cache of its own. A cache is for
inference: it refuses tensors that carry a gradient.

Axes: n new positions, m keys to attend to, heads the key's and value's own (fewer than the query's in grouped-query
attention, which is what makes the cache smaller), d_k and d_v the sizes of a key and a value.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attnbook import masks
from attnbook._validation import check_same_kind, check_size, check_vectors, check_whole_numbers, shape

NewKey = Float[Tensor, "batch heads n d_k"]
NewValue = Float[Tensor, "batch heads n d_v"]
Keys = Float[Tensor, "batch heads m d_k"]
Values = Float[Tensor, "batch heads m d_v"]


class Cache:
    """What the two caches share. seen: positions so far; length: positions held."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next update begins a new sequence, of any batch size."""
        self.seen = 0
        self._keys = self._values = None

    def keys_for(self, n: int) -> int:
        """How many keys the next update returns when it brings n positions: the last axis of a mask for them."""
        raise NotImplementedError

    def mask(self, n: int, device: torch.device | str | None = None) -> Bool[Tensor, "n m"] | None:
        """Which of the keys of the next update its n positions may see, beside causality. None: all of them."""
        return None

    def reorder(self, index: Int[Tensor, " new_batch"]) -> None:
        """Row b of the batch goes on from what row index[b] has seen: what a beam search does at each step.

        Rows may be left out or repeated, so that the batch may shrink or grow.
        Raises: TypeError or ValueError unless index has one axis of whole numbers that are rows of the batch held.
        """
        check_whole_numbers("index", index)
        if index.dim() != 1:
            raise ValueError(f"index must have shape (batch,); got {shape(index)}")
        if self._keys is not None:
            rows = len(self._keys)
            if len(index) and (int(index.min()) < 0 or int(index.max()) >= rows):
                raise ValueError(f"index must lie between 0 and {rows - 1}, the batch held; got {index.tolist()}")
            self._keys = self._keys.index_select(0, index)
            self._values = self._values.index_select(0, index)

    def _check(self, key: Tensor, value: Tensor) -> None:
        for name, x in (("key", key), ("value", value)):
            check_vectors(name, x)
            if x.dim() != 4:
                raise ValueError(f"{name} must have shape (batch, heads, n, dim); got {shape(x)}")
            if x.requires_grad and torch.is_grad_enabled():
                raise ValueError(f"{name} must not require a gradient: a cache is for inference, under torch.no_grad()")
        check_same_kind("value", value, "key", key)
        if value.shape[:3] != key.shape[:3]:
            raise ValueError(
                f"value must begin with key's (batch, heads, n), {tuple(key.shape[:3])}; got {shape(value)}"
            )
        if self._keys is None:
            return
        for name, x, held in (("key", key, self._keys), ("value", value, self._values)):
            check_same_kind(name, x, "what the cache holds", held)
            expected = (*held.shape[:2], "n", held.shape[3])
            if (*x.shape[:2], "n", x.shape[3]) != expected:
                raise ValueError(
                    f"{name} must have shape (batch, heads, n, dim) = ({', '.join(map(str, expected))}), as what the "
                    f"cache holds; got {shape(x)} (reset() begins a new batch)"
                )


class KeyValueCache(Cache):
    """Keeps every position, up to max_length. The room for all of them is taken at the first update.

    Raises: TypeError or ValueError unless max_length is a whole number of at least 1.
    Source: Shazeer (2019), Section 2.4, incremental attention, whose speed the reading of this memory limits.
    """

    def __init__(self, max_length: int) -> None:
        check_size("max_length", max_length, least=1)
        self.max_length = max_length
        super().__init__()

    @property
    def length(self) -> int:
        """Positions held: all that were seen."""
        return self.seen

    def keys_for(self, n: int) -> int:
        return self.seen + n

    def update(self, key: NewKey, value: NewValue) -> tuple[Keys, Values]:
        """Keep n new positions; return all positions so far (m = seen), as views of the cache.

        Raises: ValueError when they would exceed max_length, for a batch or sizes that differ from what is held, and
        for tensors that carry a gradient; TypeError for another dtype. The cache is then as it was.
        """
        self._check(key, value)
        end = self.seen + key.shape[2]
        if end > self.max_length:
            raise ValueError(
                f"key must leave the cache within max_length = {self.max_length} positions; got {key.shape[2]} more "
                f"after {self.seen}"
            )
        if self._keys is None:
            self._keys, self._values = (x.new_empty(*x.shape[:2], self.max_length, x.shape[3]) for x in (key, value))
        self._keys[:, :, self.seen : end] = key
        self._values[:, :, self.seen : end] = value
        self.seen = end
        return self._keys[:, :, :end], self._values[:, :, :end]


class SlidingCache(Cache):
    """Keeps the last `window` positions, for attention that sees no further: memory does not grow with the sequence.

    A query sees itself and the window - 1 positions before it, as under
    `masks.sliding_window(n, m, before=window - 1, after=0)` with no cache. (In a stack of layers information still
    travels further, window - 1 positions a layer.)
    Raises: TypeError or ValueError unless window is a whole number of at least 1.
    Source: Child et al. (2019), Section 4.2, for the window; Jiang et al. (2023), Section 2, for the cache.
    """

    def __init__(self, window: int) -> None:
        check_size("window", window, least=1)
        self.window = window
        super().__init__()

    @property
    def length(self) -> int:
        """Positions held: the last `window` of those seen."""
        return min(self.seen, self.window)

    def keys_for(self, n: int) -> int:
        return self._reach(n) + n

    def mask(self, n: int, device: torch.device | str | None = None) -> Bool[Tensor, "n m"] | None:
        m = self.keys_for(n)
        if m <= self.window:
            return None
        return masks.sliding_window(n, m, before=self.window - 1, after=0, device=device)

    def update(self, key: NewKey, value: NewValue) -> tuple[Keys, Values]:
        """Take n new positions; return them after those that the first of them sees (at most window - 1).

        Raises: as `KeyValueCache.update`; it is never full.
        """
        self._check(key, value)
        n = key.shape[2]
        if self._keys is None:
            self._keys, self._values = key[:, :, :0], value[:, :, :0]
        begin = self.length - self._reach(n)
        keys = torch.cat([self._keys[:, :, begin:], key], dim=2)
        values = torch.cat([self._values[:, :, begin:], value], dim=2)
        self._keys, self._values = self._last(keys), self._last(values)
        self.seen += n
        return keys, values

    def _reach(self, n: int) -> int:
        """How many of the positions held the first of n new ones sees; all, if none is new."""
        return min(self.length, self.window - 1) if n else self.length

    def _last(self, x: Tensor) -> Tensor:
        # A copy, where something is left out: a view would keep all of x in memory.
        return x if x.shape[2] <= self.window else x[:, :, -self.window :].clone()
