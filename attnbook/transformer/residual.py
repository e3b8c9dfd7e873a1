"""What stands around every part of a layer: its input is added to its output, and the sum is kept in scale."""

from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size

Vectors = Float[Tensor, "batch length d_model"]


class Residual(nn.Module):
    """Adds a part's change to what the part has read, with a layer norm before the part or after the sum.

    norm="pre":   x + dropout(part(norm(x)))      nothing on the way of x itself; the stack ends with one more norm
    norm="post":  norm(x + dropout(part(x)))      the paper's "Add & Norm"

    It does not hold the part, which may take and give more than x. A layer writes:

        change = part(residual.read(x))
        x = residual.add(x, change)

    eps: added to the variance in the layer norm.
    Raises: ValueError for another norm.
    Source: Vaswani et al. (2017), Sections 3.1 and 5.4; Xiong et al. (2020) for the two places of the norm.
    """

    def __init__(self, d_model: int, *, norm: str, dropout: float = 0.0, eps: float = 1e-5) -> None:
        super().__init__()
        check_size("d_model", d_model, least=1)
        self.pre = check_norm(norm) == "pre"
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def read(self, x: Vectors) -> Vectors:
        """What the part reads."""
        return self.norm(x) if self.pre else x

    def add(self, x: Vectors, change: Vectors) -> Vectors:
        """What goes on to the next part."""
        x = x + self.dropout(change)
        return x if self.pre else self.norm(x)


def final_norm(d_model: int, *, norm: str, eps: float) -> nn.Module:
    """The end of a stack: pre-norm layers add up without bound, so that their sum is normalized once more."""
    return nn.LayerNorm(d_model, eps=eps) if check_norm(norm) == "pre" else nn.Identity()


def check_norm(norm: str) -> str:
    """The norm itself, if it is one of the two."""
    if norm not in ("pre", "post"):
        raise ValueError(f"norm must be 'pre' or 'post'; got {norm!r}")
    return norm
