"""Performer: random features whose dot products are, in the mean, the exponential of softmax attention.

    phi(x)_r = exp(w_r . x - |x|^2 / 2) / sqrt(f),   E[phi(q) . phi(k)] = exp(q . k)   for normally distributed w_r

They are features for `attnbook.linear.linear_attention`, which makes them parallel, recurrent or chunked.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_dim, check_flag, check_size, check_vectors
from attnbook.scores import widen


class PerformerFeatures(nn.Module):
    """x (..., n, d) -> positive random features (..., n, n_features) that estimate exp(q . k / sqrt(d)).

    The dividing by sqrt(d) is shared out: x is multiplied by d^(-1/4). The directions are drawn from `seed` and not
    learned. orthogonal: d of them at a time at right angles, with lengths as if drawn freely; the error of short
    vectors is smaller. Half precision gives float32. Nothing is taken off the exponents, which would have to be the
    same for all keys, and for later ones too. So in float32 vectors should be shorter than about 10 d^(1/4): beyond it
    similarities underflow to 0, and from 16 d^(1/4) on all of them, with outputs of 0.
    Raises: TypeError or ValueError that names the argument.
    Source: Choromanski et al. (2021), Lemma 1 and Section 2.4.
    """

    directions: Tensor

    def __init__(self, d: int, n_features: int, *, seed: int = 0, orthogonal: bool = True) -> None:
        super().__init__()
        for name, size in (("d", d), ("n_features", n_features)):
            check_size(name, size, least=1)
        check_size("seed", seed)
        check_flag("orthogonal", orthogonal)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(-(-n_features // d), d, d, generator=generator, dtype=torch.float64)
        if orthogonal:
            q, r = torch.linalg.qr(drawn)
            turned = (q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)).mT  # signs: every rotation alike
            drawn = turned * torch.randn(drawn.shape, generator=generator, dtype=torch.float64).norm(
                dim=-1, keepdim=True
            )
        self.d, self.n_features = d, n_features
        self.register_buffer("directions", drawn.flatten(0, 1)[:n_features])

    def forward(self, x: Float[Tensor, "... n d"]) -> Float[Tensor, "... n f"]:
        check_vectors("x", x)
        check_dim("x", x, self.d, "d")
        x = widen(x)
        directions = self.directions.to(x) * self.d**-0.25
        shift = x.square().sum(dim=-1, keepdim=True) * (-(self.d**-0.5) / 2) - math.log(self.n_features) / 2
        return (x @ directions.mT).add_(shift).exp_()  # in place, as n by f is the largest table here
