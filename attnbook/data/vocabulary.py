"""Symbols and their numbers."""

from collections.abc import Iterable, Sequence

from jaxtyping import Int
from torch import Tensor

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


class Vocabulary:
    """A fixed list of symbols, numbered after the four special ones: pad 0, begin 1, end 2, unknown 3.

    >>> letters = Vocabulary("abc")
    >>> letters.encode("cab")
    [6, 4, 5, 2]
    >>> letters.decode([6, 4, 5, 2, 0])
    ['c', 'a', 'b']

    Raises: ValueError for symbols that occur twice or take the name of a special one.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        symbols = tuple(symbols)
        repeated = sorted({s for s in symbols if s in SPECIAL or symbols.count(s) > 1})
        if repeated:
            raise ValueError(f"symbols must be distinct and none of {SPECIAL}; got {', '.join(repeated)} again")
        self.symbols = SPECIAL + symbols
        self._number = {symbol: i for i, symbol in enumerate(self.symbols)}

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]]) -> "Vocabulary":
        """The vocabulary of the symbols that occur in the sequences, in sorted order."""
        return cls(sorted({symbol for sequence in sequences for symbol in sequence}))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, sequence: Iterable[str]) -> list[int]:
        """The numbers of the symbols, then the end symbol. What is not in the vocabulary becomes UNK."""
        return [*(self._number.get(symbol, UNK) for symbol in sequence), EOS]

    def decode(self, numbers: Iterable[int] | Int[Tensor, "length"]) -> list[str]:
        """The symbols up to the end symbol, without it; pad and begin are left out. Takes lists and 1-D tensors.

        Raises: ValueError for a number outside the vocabulary.
        """
        symbols = []
        for number in map(int, numbers):
            if not 0 <= number < len(self):
                raise ValueError(f"numbers must lie between 0 and {len(self) - 1}; got {number}")
            if number == EOS:
                break
            if number not in (PAD, BOS):
                symbols.append(self.symbols[number])
        return symbols
