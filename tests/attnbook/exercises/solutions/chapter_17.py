"""Right answers in other words."""

import numpy as np
import torch

from attnbook.linear import linear_attention, linear_attention_parallel


def linear_table(query_features, key_features, values):
    table = query_features @ key_features.T
    return (table / table.sum(dim=1, keepdim=True)) @ values


def linear_package(query_features, key_features, values):
    return linear_attention(query_features, key_features, values, features=lambda x: x)[0]


def linear_numpy(query_features, key_features, values):
    q, k, v = (x.double().numpy() for x in (query_features, key_features, values))
    rows = [np.average(v, axis=0, weights=k @ row) for row in q]
    return torch.from_numpy(np.array(rows)).float()


def causal_table(query_features, key_features, values):
    table = (query_features @ key_features.T).tril()
    return (table / table.sum(dim=1, keepdim=True)) @ values


def causal_cumsum(query_features, key_features, values):
    states = torch.einsum("nf,nd->nfd", key_features, values).cumsum(dim=0)
    totals = key_features.cumsum(dim=0)
    return torch.einsum("nf,nfd->nd", query_features, states) / (query_features * totals).sum(dim=1, keepdim=True)


def causal_package(query_features, key_features, values):
    return linear_attention_parallel(query_features, key_features, values, features=lambda x: x, causal=True)[0]


def write_outer(state, key, value, beta):
    return state - beta * torch.outer(key, key @ state) + beta * torch.outer(key, value)


def write_by_projection(state, key, value, beta):
    eye = torch.eye(len(key))
    return (eye - beta * key[:, None] @ key[None]) @ state + beta * key[:, None] @ value[None]


def write_in_place(state, key, value, beta):
    wanted = (1 - beta) * (key @ state) + beta * value
    new = state.clone()
    for i in range(len(key)):
        new[i] += key[i] * (wanted - key @ state)
    return new


CORRECT = {
    "linear-attention": [linear_table, linear_package, linear_numpy],
    "linear-attention-causal": [causal_table, causal_cumsum, causal_package],
    "delta-rule": [write_outer, write_by_projection, write_in_place],
}
