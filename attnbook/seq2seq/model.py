"""An encoder and a decoder, put together: predict a known target, or write one symbol by symbol."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size, shape
from attnbook.data.vocabulary import BOS, EOS, PAD

Source = Int[Tensor, "batch sources"]
Target = Int[Tensor, "batch targets"]


class Seq2Seq(nn.Module):
    """p(y_1 ... y_n | x) = Π_t p(y_t | y_1 ... y_{t-1}, x), for any encoder and decoder of this package.

    Source: Sutskever et al. (2014), Eq. 1.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(
        self, source: Source, target_in: Target
    ) -> tuple[Float[Tensor, "batch targets vocabulary"], Float[Tensor, "batch targets sources"] | None]:
        """Teacher forcing: the logits of every next symbol, given the true ones before it, and the attention weights.

        Shapes: source (batch, sources) and target_in (batch, targets), padded on the right -> logits (batch, targets,
        vocabulary), weights (batch, targets, sources), or None without attention. Logits after padding mean nothing.
        Raises: TypeError or ValueError for a source or target_in that is not such a batch.
        """
        if not isinstance(target_in, Tensor):
            raise TypeError(f"target_in must be a torch.Tensor (batch, targets); got {type(target_in).__name__}")
        if target_in.is_floating_point() or target_in.dim() != 2 or 0 in target_in.shape:
            raise ValueError(
                "target_in must hold whole numbers with shape (batch, targets), targets at least 1 (the begin symbol); "
                f"got dtype {target_in.dtype}, shape {shape(target_in)}"
            )
        encoding = self.encoder(source)
        if target_in.shape[0] != source.shape[0]:
            raise ValueError(f"target_in must have as many rows as source, {source.shape[0]}; got {target_in.shape[0]}")
        logits, weights, _ = self.decoder(target_in, encoding, self.decoder.begin(encoding))
        return logits, weights

    @torch.no_grad()
    def greedy(
        self, source: Source, *, max_length: int
    ) -> tuple[Int[Tensor, "batch targets"], Float[Tensor, "batch targets sources"] | None]:
        """The most probable next symbol, again and again, up to the end symbol or max_length symbols.

        It runs without dropout and leaves the model's mode as it was.
        Shapes: source (batch, sources) -> symbols (batch, targets) and the weights of each step, or None without
        attention. After a row's end symbol its symbols are PAD and its weights 0.
        Raises: as `forward`; TypeError or ValueError for a max_length below 1.
        """
        check_size("max_length", max_length, least=1)
        was_training = self.training
        self.eval()
        try:
            encoding = self.encoder(source)
            state = self.decoder.begin(encoding)
            last = torch.full_like(source[:, :1], BOS)
            running = torch.ones_like(last, dtype=torch.bool)
            symbols, weights = [], []
            for t in range(max_length):
                logits, alpha, state = self.decoder(last, encoding, state, first=t)
                last = logits.argmax(dim=-1).masked_fill(~running, PAD)
                symbols.append(last)
                weights.append(None if alpha is None else alpha * running.unsqueeze(-1))
                running = running & (last != EOS)
                if not running.any():
                    break
        finally:
            self.train(was_training)
        return torch.cat(symbols, dim=1), None if weights[0] is None else torch.cat(weights, dim=1)
