"""A BERT-type model: the encoder alone, which sees both sides of each token and fills in those that were hidden."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_flag
from attnbook.data.vocabulary import PAD
from attnbook.positions import LearnedPositions
from attnbook.transformer.encoder import Encoder
from attnbook.transformer.initialization import start_small

Tokens = Int[Tensor, "batch n"]
Weights = list[Float[Tensor, "batch n_heads n n"]] | None


class Bert(nn.Module):
    """Token + position + segment vectors, post-norm encoder layers with GELU, and a head for the masked tokens.

    The sizes by default are those of BERT-base. Left out: the pooled first token and the next-sentence head.
    n_segments: kinds of segment, first and second sentence. head: without it the model only encodes. The head's last
    matrix is the token embedding.
    Source: Devlin et al. (2019), Section 3; their published code for the head.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        max_length: int = 512,
        n_segments: int = 2,
        d_model: int = 768,
        n_heads: int = 12,
        n_layers: int = 12,
        d_hidden: int = 3072,
        dropout: float = 0.1,
        eps: float = 1e-12,
        head: bool = True,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, d_model)
        self.positions = LearnedPositions(max_length, d_model)
        self.segments = nn.Embedding(n_segments, d_model)
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(
            n_layers, d_model, n_heads, d_hidden, norm="post", activation="gelu", dropout=dropout, eps=eps
        )
        check_flag("head", head)
        if head:
            self.head, self.head_norm = nn.Linear(d_model, d_model), nn.LayerNorm(d_model, eps=eps)
            self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        start_small(self)

    def encode(
        self, tokens: Tokens, segments: Tokens | None = None, *, need_weights: bool = False
    ) -> tuple[Float[Tensor, "batch n d_model"], Weights]:
        """One vector for each token, that knows its neighbors on both sides, and each layer's weights or None.

        segments: the kind of segment of each token, all 0 if None. PAD tokens are hidden from all others.
        Raises: ValueError for more tokens than max_length.
        """
        mask = (tokens != PAD)[:, None, None, :]
        segments = torch.zeros_like(tokens) if segments is None else segments
        x = self.tokens(tokens) + self.positions(tokens.shape[1]) + self.segments(segments)
        return self.encoder(self.dropout(self.norm(x)), mask=mask, need_weights=need_weights)

    def forward(
        self, tokens: Tokens, segments: Tokens | None = None, *, need_weights: bool = False
    ) -> tuple[Float[Tensor, "batch n vocabulary"], Weights]:
        """What each token could be: logits, to be read where a token was hidden. Else as `encode`.

        Raises: ValueError for a model that was built without the head.
        """
        if not hasattr(self, "head"):
            raise ValueError(
                "head must be True to predict hidden tokens; this model was built with head=False: use encode"
            )
        x, weights = self.encode(tokens, segments, need_weights=need_weights)
        x = self.head_norm(F.gelu(self.head(x)))
        return x @ self.tokens.weight.T + self.output_bias, weights
