"""How the encoder's last state becomes the decoder's first.

State parts are (layers, batch, size): one part for a GRU, two (h and c) for an LSTM.
"""

import torch
from torch import nn

from attnbook.seq2seq.encoders import Encoding
from attnbook.seq2seq.recurrence import State


class CopiedStart(nn.Module):
    """The encoder's last state as it is. Encoder and decoder need the same cell, size and number of layers.

    Source: Sutskever et al. (2014), Section 2; Luong et al. (2015), Section 2.
    """

    def forward(self, encoding: Encoding) -> State:
        return encoding.state


class ProjectedStart(nn.Module):
    """s_0 = tanh(W_s h + b), from the whole last state h; of a bidirectional encoder, h = [→h_m; ←h_1].

    The book's comparisons use it for all models: without attention, this is all that the decoder knows of the source.
    Raises: ValueError, when called, for a state of another size.
    """

    def __init__(self, d_state: int, d_hidden: int) -> None:
        super().__init__()
        self.W_s = nn.Linear(d_state, d_hidden)

    def forward(self, encoding: Encoding) -> State:
        h, *rest = encoding.state
        if h.shape[-1] != self.W_s.in_features:
            size = h.shape[-1]
            raise ValueError(f"d_state must be the size of the encoder's state, {size}; got {self.W_s.in_features}")
        start = torch.tanh(self.W_s(h))
        return (start, *(torch.zeros_like(start) for _ in rest))  # an LSTM's cell memory starts empty


class BackwardStart(ProjectedStart):
    """s_0 = tanh(W_s ←h_1 + b), from the backward half of a bidirectional encoder's state alone, as the paper has it.

    Source: Bahdanau et al. (2015), Appendix A.2.2.
    """

    def forward(self, encoding: Encoding) -> State:
        backward = tuple(part.chunk(2, dim=-1)[1] for part in encoding.state)
        return super().forward(encoding._replace(state=backward))
