"""Writing with a decoder-only model: each next token is chosen from the logits, then read back."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.cache import KeyValueCache
from attnbook.transformer.decoding import evaluating

# From the logits of the next token to the token: most_probable, or what `sampling.sampler` makes.
Choose = Callable[[Float[Tensor, "batch vocabulary"]], Int[Tensor, " batch"]]


def most_probable(logits: Float[Tensor, "batch vocabulary"]) -> Int[Tensor, " batch"]:
    """The greedy choice."""
    return logits.argmax(dim=-1)


class DecoderOnly(nn.Module):
    """A model that maps tokens to the logits of the token after each: model(tokens, caches=...) -> (logits, weights).

    n_layers says how many caches it takes.
    """

    n_layers: int

    def caches(self, max_length: int) -> list[KeyValueCache]:
        """Empty caches, one a layer, for at most max_length positions."""
        return [KeyValueCache(max_length) for _ in range(self.n_layers)]

    def generate(
        self,
        tokens: Int[Tensor, "batch n"],
        *,
        steps: int,
        choose: Choose = most_probable,
        stop: int | None = None,
    ) -> Int[Tensor, "batch longer"]:
        """The tokens (of equal length, no padding) and `steps` more, each chosen from the logits and then read back.

        Shapes: tokens (batch, n) -> (batch, n + steps), or fewer: it ends once each row has written the token `stop`.
        (What a row writes after its own stop, while others go on, means nothing.) The prompt is read once; then each
        step computes one position.
        Raises: TypeError or ValueError for steps below 1; ValueError for more tokens than the model can take.
        """
        check_size("steps", steps, least=1)
        caches = self.caches(tokens.shape[1] + steps)
        stopped = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        with evaluating(self):
            new = tokens
            for _ in range(steps):
                logits, _ = self(new, caches=caches)
                new = choose(logits[:, -1]).unsqueeze(1)
                tokens = torch.cat([tokens, new], dim=1)
                if stop is not None:
                    stopped |= new[:, 0] == stop
                    if stopped.all():
                        break
        return tokens
