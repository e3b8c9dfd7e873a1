"""A recurrent layer over padded sequences: GRU and LSTM with one interface."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# What a recurrent layer carries from step to step: (h,) for a GRU, (h, c) for an LSTM, each (layers, batch, d_hidden).
State = tuple[Tensor, ...]


class Recurrence(nn.Module):
    """A stack of recurrent layers, h_t = f(x_t, h_{t-1}).

    cell: nn.GRU (Cho et al., 2014) or nn.LSTM (Hochreiter and Schmidhuber, 1997), as a class. PyTorch's GRU applies the
    reset gate after the recurrent matrix, r * (U h), where Cho et al. and Bahdanau et al. write U (r * h).
    Shapes: inputs (batch, length, d_input) -> outputs (batch, length, d_hidden), twice that if bidirectional; state.
    """

    def __init__(
        self, cell: type[nn.RNNBase], d_input: int, d_hidden: int, *, layers: int = 1, bidirectional: bool = False
    ) -> None:
        super().__init__()
        if cell not in (nn.GRU, nn.LSTM):
            raise TypeError(f"cell must be the class nn.GRU or nn.LSTM; got {cell!r}")
        self.rnn = cell(d_input, d_hidden, num_layers=layers, bidirectional=bidirectional, batch_first=True)

    def forward(
        self,
        inputs: Float[Tensor, "batch length d_input"],
        state: State | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch length d_output"], State]:
        """The top layer's states and the last state of every layer; with lengths, padding is never read.

        Outputs past a row's length are 0, and its last state is the one at its own end.
        """
        if state is not None:
            state = state if isinstance(self.rnn, nn.LSTM) else state[0]
        if lengths is None:
            outputs, last = self.rnn(inputs, state)
        else:
            packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
            outputs, last = self.rnn(packed, state)
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
        return outputs, last if isinstance(last, tuple) else (last,)


def join_directions(state: State) -> State:
    """The state of a bidirectional layer, [forward at the end; backward at the start] side by side.

    Shapes: (2 * layers, batch, d_hidden) -> (layers, batch, 2 * d_hidden), for each part of the state.
    """
    return tuple(torch.cat([part[0::2], part[1::2]], dim=-1) for part in state)
