"""Masks: which query may attend to which key. Boolean tensors, True where attention is allowed.

They combine with Python's own operators: `causal(n) & sliding_window(n, before=4, after=0)`, `a | b`, `~a`.
Where there are fewer queries than keys, the queries are the last positions (query i stands at position i + m - n), so
that a model that decodes with a cache sees what it would see without one.

Axes: n queries, m keys (m = n where it is not given).
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attnbook._validation import check_flag, check_size, check_whole_numbers, shape

Mask = Bool[Tensor, "n m"]
Device = torch.device | str | None


def _positions(queries: int, keys: int | None, device: Device) -> tuple[Tensor, Tensor]:
    """Query positions as a column and key positions as a row, aligned at the end."""
    keys = queries if keys is None else keys
    check_size("queries", queries)
    check_size("keys", keys)
    column = torch.arange(keys - queries, keys, device=device).unsqueeze(1)
    return column, torch.arange(keys, device=device).unsqueeze(0)


def causal(queries: int, keys: int | None = None, *, device: Device = None) -> Mask:
    """Each query sees the keys up to its own position, itself included; the last query sees every key.

    Shape: (queries, keys). With more queries than keys the first rows see nothing.
    Raises: TypeError or ValueError for sizes that are not whole numbers of at least 0.
    Source: Vaswani et al. (2017), Section 3.2.3.
    """
    i, j = _positions(queries, keys, device)
    return j <= i


def padding(lengths: Int[Tensor, " batch"], keys: int | None = None) -> Bool[Tensor, "batch 1 1 m"]:
    """Each sequence of a batch shows its first `lengths[b]` keys; the rest is padding.

    Shape: lengths (batch,) whole numbers -> (batch, 1, 1, keys), for tensors (batch, heads, length, dim); keys is the
    longest length if not given. It hides keys, never queries: the rows of padded queries are for the caller to ignore.
    Raises: TypeError or ValueError for lengths that are not a 1-axis integer tensor within 0..keys.
    """
    check_whole_numbers("lengths", lengths)
    if lengths.dim() != 1:
        raise ValueError(f"lengths must have shape (batch,); got {shape(lengths)}")
    longest = int(lengths.max()) if len(lengths) else 0
    keys = longest if keys is None else keys
    check_size("keys", keys)
    if longest > keys or (len(lengths) and int(lengths.min()) < 0):
        raise ValueError(f"lengths must lie between 0 and keys = {keys}; got {lengths.tolist()}")
    shown = torch.arange(keys, device=lengths.device) < lengths.unsqueeze(1)
    return shown[:, None, None, :]


def sliding_window(queries: int, keys: int | None = None, *, before: int, after: int, device: Device = None) -> Mask:
    """Each query sees itself, `before` keys before it and `after` keys after it: before + after + 1 keys at most.

    Shape: (queries, keys). Raises: as `causal`, for before and after too.
    Source: Beltagy et al. (2020), Section 3.1, with before = after = w/2.
    """
    check_size("before", before)
    check_size("after", after)
    i, j = _positions(queries, keys, device)
    return (i - before <= j) & (j <= i + after)


def strided(queries: int, keys: int | None = None, *, stride: int, device: Device = None) -> Mask:
    """Each query sees every stride-th key, counted from itself in both directions.

    Shape: (queries, keys). Raises: as `causal`; stride must be at least 1.
    Source: Child et al. (2019), Section 4.2, where it is combined with `causal` and a window of the last stride keys.
    """
    check_size("stride", stride, least=1)
    i, j = _positions(queries, keys, device)
    return (i - j) % stride == 0


def global_tokens(
    queries: int, keys: int | None = None, *, tokens: list[int] | tuple[int, ...], device: Device = None
) -> Mask:
    """The named positions see every key and are seen by every query. Negative positions count from the end.

    Shape: (queries, keys). Raises: as `causal`; ValueError for a position outside the keys.
    Source: Beltagy et al. (2020), Section 3.1, "Global Attention".
    """
    i, j = _positions(queries, keys, device)
    m = j.shape[1]
    if not isinstance(tokens, list | tuple):
        raise TypeError(f"tokens must be a list or tuple of positions; got {type(tokens).__name__}")
    chosen = []
    for token in tokens:
        if isinstance(token, bool) or not isinstance(token, int):
            raise TypeError(f"tokens must hold positions as integers; got {type(token).__name__}")
        if not -m <= token < m:
            raise ValueError(f"tokens must lie between {-m} and {m - 1}; got {token}")
        chosen.append(token % m)
    positions = torch.tensor(chosen, dtype=torch.long, device=device)
    return torch.isin(i, positions) | torch.isin(j, positions)


def block(queries: int, keys: int | None = None, *, size: int, device: Device = None) -> Mask:
    """Positions are cut into blocks of `size`; each query sees its own block.

    Shape: (queries, keys). Raises: as `causal`; size must be at least 1.
    Source: Qiu et al. (2020), blockwise self-attention with the identity permutation.
    """
    check_size("size", size, least=1)
    i, j = _positions(queries, keys, device)
    return i.div(size, rounding_mode="floor") == j.div(size, rounding_mode="floor")


def random_block(
    queries: int, keys: int | None = None, *, size: int, count: int, seed: int, device: Device = None
) -> Mask:
    """Each block of queries sees `count` blocks of keys drawn at random without repetition (all, if there are fewer).

    Shape: (queries, keys). The same seed gives the same mask on every device. With more queries than keys the first
    rows see nothing. Raises: as `block`, for count and seed too.
    Source: Zaheer et al. (2020), Section 2, the random part of BigBird; add a window and global tokens for the whole.
    """
    check_size("size", size, least=1)
    check_size("count", count)
    check_size("seed", seed)
    i, j = _positions(queries, keys, device)
    blocks = max(1, -(-j.shape[1] // size))
    generator = torch.Generator().manual_seed(seed)
    rank = torch.rand(blocks, blocks, generator=generator).argsort(dim=1).argsort(dim=1)
    chosen = (rank < count).to(i.device)  # in each row, the blocks that come first in a random order
    return (i >= 0) & chosen[i.clamp(min=0) // size, j // size]


def graph(edges: Int[Tensor, "2 edges"], nodes: int, *, self_loops: bool = True) -> Mask:
    """Attention along the edges of a graph: node edges[1, e] sees node edges[0, e] (source -> target).

    Shape: edges (2, number of edges) -> (nodes, nodes). An undirected edge is given in both directions.
    Raises: TypeError or ValueError for edges that are not whole numbers within 0..nodes-1 in two rows.
    Source: Veličković et al. (2018), Section 2.1: attention over a node's neighborhood, itself included.
    """
    check_size("nodes", nodes)
    check_flag("self_loops", self_loops)
    check_whole_numbers("edges", edges)
    if edges.dim() != 2 or edges.shape[0] != 2:
        raise ValueError(f"edges must have shape (2, number of edges), sources then targets; got {shape(edges)}")
    if edges.numel() and (int(edges.min()) < 0 or int(edges.max()) >= nodes):
        raise ValueError(f"edges must lie between 0 and nodes - 1 = {nodes - 1}; got {edges.tolist()}")
    source, target = edges
    allowed = torch.eye(nodes, dtype=torch.bool, device=edges.device) & self_loops
    allowed[target, source] = True
    return allowed
