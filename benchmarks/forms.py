"""What is compared: each form as a function of query, key and value, all (1, 8, n, 64), and up to which length."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbook import attention, masks, scaled_dot_product_attention
from attnbook.delta import delta_rule
from attnbook.gated import gated_linear_attention
from attnbook.linear import linear_attention
from attnbook.lowrank import linformer_attention, nystrom_attention
from attnbook.performer import PerformerFeatures
from attnbook.sparse import block_sparse_attention, sliding_window_attention
from attnbook.tiled import tiled_attention

HEADS, D = 8, 64
WINDOW = 256  # keys that a query sees: itself, 127 before it and 128 after it
RANK, LANDMARKS, FEATURES = 256, 64, 266
SIZE = 128  # positions in a block
BASE = "PyTorch SDPA"


class Form(NamedTuple):
    """attend(query, key, value) -> output.

    longest: beyond it a table would not fit. joined: inputs are (1, n, 8 * 64), as a layer takes them.
    """

    attend: Callable[[Tensor, Tensor, Tensor], Tensor]
    longest: int = 32768
    backward: bool = True
    joined: bool = False

    def inputs(self, n: int, *, device: str = "cpu", requires_grad: bool = False) -> list[Tensor]:
        """Query, key and value, the same for all forms."""
        generator = torch.Generator().manual_seed(n)
        drawn = [torch.randn(1, HEADS, n, D, generator=generator).to(device) for _ in range(3)]
        drawn = [x.transpose(1, 2).flatten(2) for x in drawn] if self.joined else drawn
        return [x.requires_grad_(requires_grad) for x in drawn]

    def run(self, inputs: list[Tensor]) -> Tensor:
        """Forward and, where the inputs ask for gradients, backward."""
        output = self.attend(*inputs)
        if inputs[0].requires_grad:
            torch.autograd.grad(output.sum(), inputs, allow_unused=True)
        return output


def block_pattern(n: int) -> Tensor:
    """Neighbors, one global block, random ones: BigBird's pattern, 12% of the blocks where there are enough of them."""
    number = -(-n // SIZE)
    near = masks.sliding_window(number, before=1, after=1) | masks.global_tokens(number, tokens=[0])
    more = max(0, round(0.12 * number) - int(near.sum()) // number)
    return near | masks.random_block(number, size=1, count=min(more, number), seed=0) if more else near


def forms(n: int, device: str = "cpu") -> dict[str, Form]:
    """By name, for texts of n tokens; the first is what all are compared with."""
    torch.manual_seed(0)
    project = torch.randn(2, min(RANK, n), n).to(device) / n**0.5
    features = PerformerFeatures(D, FEATURES, seed=0).float().to(device)
    blocks = block_pattern(n).to(device)
    decay, beta = torch.full((1, HEADS, n), -0.05, device=device), torch.full((1, HEADS, n), 0.5, device=device)
    return {
        BASE: Form(F.scaled_dot_product_attention),
        f"{BASE}, again": Form(F.scaled_dot_product_attention),
        f"{BASE}, causal": Form(partial(F.scaled_dot_product_attention, is_causal=True)),
        "definition": Form(lambda q, k, v: attention(q, k, v)[0], longest=8192),
        "fused": Form(scaled_dot_product_attention),
        "fused, no scale": Form(partial(scaled_dot_product_attention, scale=1.0)),
        "tiled": Form(tiled_attention),
        "tiled, causal": Form(partial(tiled_attention, causal=True)),
        "window as a mask": Form(
            lambda q, k, v: scaled_dot_product_attention(
                q, k, v, mask=masks.sliding_window(n, before=127, after=128, device=device)
            ),
            longest=8192,
        ),
        "window": Form(partial(sliding_window_attention, before=127, after=128)),
        "window, causal": Form(partial(sliding_window_attention, before=255, after=0, causal=True)),
        "blocks": Form(partial(block_sparse_attention, blocks=blocks, size=SIZE)),
        "linear": Form(lambda q, k, v: linear_attention(q, k, v)[0]),
        "linear, causal": Form(lambda q, k, v: linear_attention(q, k, v, causal=True)[0]),
        "Performer": Form(lambda q, k, v: linear_attention(q, k, v, features=features)[0]),
        "Performer, causal": Form(lambda q, k, v: linear_attention(q, k, v, features=features, causal=True)[0]),
        "gated": Form(lambda q, k, v: gated_linear_attention(q, k, v, decay)[0]),
        "delta rule": Form(lambda q, k, v: delta_rule(q, F.normalize(k, dim=-1), v, beta)[0]),
        "Linformer": Form(
            lambda q, k, v: linformer_attention(q, k, v, key_projection=project[0], value_projection=project[1])
        ),
        "Nystrom": Form(lambda q, k, v: nystrom_attention(q, k, v, landmarks=min(LANDMARKS, n))),
    }
