"""Recurrent encoder-decoders: without attention, Bahdanau et al. (2015), and Luong et al. (2015).

A model is `Seq2Seq(encoder, decoder)`; a decoder is given how it starts, which score it uses and, for Luong, which
alignment. `models` puts together the four that the book compares.
"""

from attnbook.seq2seq.alignments import Global, LocalMonotonic, LocalPredictive
from attnbook.seq2seq.bahdanau import BahdanauDecoder
from attnbook.seq2seq.decoding import Decoded, decode, parameters
from attnbook.seq2seq.encoders import BidirectionalEncoder, Encoder, Encoding
from attnbook.seq2seq.luong import InputFeedingDecoder, LuongDecoder
from attnbook.seq2seq.model import Seq2Seq
from attnbook.seq2seq.models import bahdanau, luong, without_attention
from attnbook.seq2seq.plain import PlainDecoder
from attnbook.seq2seq.starts import BackwardStart, CopiedStart, ProjectedStart

__all__ = [
    "BackwardStart",
    "BahdanauDecoder",
    "BidirectionalEncoder",
    "CopiedStart",
    "Decoded",
    "Encoder",
    "Encoding",
    "Global",
    "InputFeedingDecoder",
    "LocalMonotonic",
    "LocalPredictive",
    "LuongDecoder",
    "PlainDecoder",
    "ProjectedStart",
    "Seq2Seq",
    "bahdanau",
    "decode",
    "luong",
    "parameters",
    "without_attention",
]
