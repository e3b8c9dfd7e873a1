"""The packages that a reader would pick, on the same inputs: pip install -e ".[bench]".

Packages that come as whole layers have their learned maps taken out, so that attention alone is compared.
"""

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.forms import FEATURES, HEADS, LANDMARKS, RANK, WINDOW, D, Form


def peers(n: int, device: str = "cpu") -> dict[str, Form]:
    """By name, for texts of n tokens."""
    return {
        "window: local-attention": local_attention(causal=False),
        "window, causal: local-attention": local_attention(causal=True),
        "window: compiled flex_attention": flex(n, device),
        "linear, causal: fla, naive chunks": fla_chunks(),
        "Performer: performer-pytorch": performer(device, causal=False),
        "Performer, causal: performer-pytorch": performer(device, causal=True),
        "Linformer: linformer": linformer(n, device),
        "Nystrom: nystrom-attention": nystrom(device),
    }


def local_attention(*, causal: bool) -> Form:
    from local_attention import LocalAttention

    back = WINDOW if causal else WINDOW // 2
    return Form(LocalAttention(back, causal=causal, exact_windowsize=True, use_rotary_pos_emb=False))


def flex(n: int, device: str) -> Form:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near = lambda b, h, i, j: (j - i <= WINDOW // 2) & (i - j < WINDOW // 2)  # noqa: E731
        mask = create_block_mask(near, 1, 1, n, n, device=device)
    torch._dynamo.config.recompile_limit = 64  # one kernel a length
    compiled = torch.compile(flex_attention)
    return Form(lambda q, k, v: compiled(q, k, v, block_mask=mask), backward=device == "cuda")


def fla_chunks() -> Form:
    """Read from its file: importing the package needs a GPU's compiler."""
    where = Path(importlib.util.find_spec("fla").origin).parent / "ops" / "linear_attn" / "naive.py"
    spec = importlib.util.spec_from_file_location("fla_naive", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def attend(query, key, value):
        q, k, v = (x.transpose(1, 2) for x in (F.elu(query) + 1, F.elu(key) + 1, value))
        return module.naive_chunk_linear_attn(q, k, v, normalize=True)

    return Form(attend)


def performer(device: str, *, causal: bool) -> Form:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from performer_pytorch import FastAttention

        layer = FastAttention(dim_heads=D, nb_features=FEATURES, causal=causal)
    layer.to(device)
    return Form(layer, longest=2048) if causal else Form(layer)


def linformer(n: int, device: str) -> Form:
    from linformer import LinformerSelfAttention

    layer = LinformerSelfAttention(HEADS * D, n, k=min(RANK, n), heads=HEADS)
    layer.to_q = layer.to_k = layer.to_v = layer.to_out = nn.Identity()
    layer.to(device)
    return Form(lambda q, k, v: layer(v), joined=True)


def nystrom(device: str) -> Form:
    from nystrom_attention import NystromAttention

    layer = NystromAttention(HEADS * D, dim_head=D, heads=HEADS, num_landmarks=LANDMARKS, residual=False)
    layer.to_out = nn.Identity()

    class Given(nn.Module):
        """Stands where the layer would make query, key and value out of its input."""

        def forward(self, x):
            return self

        def chunk(self, *_, **__):
            return self.inputs

    layer.to_qkv = given = Given()
    layer.to(device)

    def attend(*inputs):
        given.inputs = inputs
        return layer(inputs[0])

    return Form(attend, joined=True)
