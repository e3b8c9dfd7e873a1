"""Relative positions after Shaw: a learned vector for each distance, added to the keys and to the values."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_dim, check_flag, check_same_kind, check_size, check_vectors
from attnbook.attention import Bias, Key, Mask, Output, Query, Value, Weights, attention
from attnbook.positions.distances import distances
from attnbook.scores import scaled_dot, widen


class RelativeShaw(nn.Module):
    """Query i sees key j as k_j + a^K_ij and value j as v_j + a^V_ij, where a depends on the distance j - i alone.

    Distances are clipped to ±max_distance: all keys that are further away share a vector. `key_table` and
    `value_table` have shape (2 max_distance + 1, d_head); row r is the distance r - max_distance. All heads share them,
    and so may layers. values=False leaves the values alone.

    The whole: output, weights = shaw(query, key, value, mask=...). Its parts, for those who build their own:
    `attention(query, key, value, score=shaw.score)` gives Eq. 4, and `shaw.value_output(weights)` what Eq. 3 adds.

    Axes: n queries, m keys, d_head the size of queries, keys and values.
    Source: Shaw et al. (2018), Section 3.
    """

    def __init__(self, d_head: int, max_distance: int, *, values: bool = True) -> None:
        super().__init__()
        check_size("d_head", d_head, least=1)
        check_size("max_distance", max_distance)
        check_flag("values", values)
        self.d_head, self.max_distance = d_head, max_distance
        self.key_table = nn.Parameter(torch.empty(2 * max_distance + 1, d_head))
        self.value_table = nn.Parameter(torch.empty(2 * max_distance + 1, d_head)) if values else None
        for table in self.parameters():
            nn.init.normal_(table, std=d_head**-0.5)

    def rows(self, n: int, m: int) -> Int[Tensor, "n m"]:
        """clip(j - i, ±max_distance) + max_distance: the row of the tables for each query and key."""
        reach = self.max_distance
        return distances(n, m, device=self.key_table.device).clamp(-reach, reach) + reach

    def key_scores(self, query: Query, m: int) -> Float[Tensor, "... n m"]:
        """q_i · a^K_ij, the second term of Eq. 5: added to q_i · k_j BEFORE the division by sqrt(d_head).

        Shape: query (..., n, d_head) -> (..., n, m), the queries being the last n of m positions.
        Raises: TypeError or ValueError for a query of another dtype, device or size than the tables.
        """
        check_vectors("query", query)
        check_dim("query", query, self.d_head, "d_head of these positions")
        check_same_kind("query", query, "the positions' tables", self.key_table)
        relative = self.key_table[self.rows(query.shape[-2], m)]  # (n, m, d_head): a^K_ij
        return torch.einsum("...nd,nmd->...nm", widen(query), widen(relative))

    def score(self, query: Query, key: Key) -> Float[Tensor, "... n m"]:
        """e_ij = q_i · (k_j + a^K_ij) / sqrt(d_head), Eq. 4: a score for `attnbook.attention`."""
        return scaled_dot(query, key) + self.key_scores(query, key.shape[-2]) / math.sqrt(self.d_head)

    def value_output(self, weights: Weights) -> Float[Tensor, "... n d_head"]:
        """sum_j alpha_ij a^V_ij, what Eq. 3 adds to the weighted average of the values.

        Raises: ValueError where the tables were made with values=False.
        """
        if self.value_table is None:
            raise ValueError("values must be True when the module is built to have vectors for values; got False")
        check_vectors("weights", weights)
        relative = self.value_table[self.rows(*weights.shape[-2:])]  # (n, m, d_head): a^V_ij
        return torch.einsum("...nm,nmd->...nd", weights, relative.to(weights.dtype))

    def forward(
        self, query: Query, key: Key, value: Value, *, mask: Mask | None = None, bias: Bias | None = None
    ) -> tuple[Output, Weights]:
        """`attnbook.attention` with Eq. 4 for the score and Eq. 3 for the average; shapes and errors as there."""
        output, weights = attention(query, key, value, score=self.score, mask=mask, bias=bias)
        if self.value_table is None:
            return output, weights
        check_dim("value", value, self.d_head, "d_head of these positions")
        return output + self.value_output(weights), weights

    def extra_repr(self) -> str:
        return f"d_head={self.d_head}, max_distance={self.max_distance}, values={self.value_table is not None}"
