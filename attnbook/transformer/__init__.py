"""The Transformer (Vaswani et al., 2017) and the models made of its parts.

`Transformer` is an encoder and a decoder; `Bert` is the encoder alone, `Gpt` the same layers under a causal mask, `Vit`
the encoder on the patches of an image.
"""

from attnbook.transformer.bert import Bert
from attnbook.transformer.cross_attention import CrossAttention, MemoryCache
from attnbook.transformer.decoder import Decoder, DecoderLayer, DecoderWeights, LayerCache
from attnbook.transformer.decoding import Hypotheses, beam, greedy
from attnbook.transformer.embedding import SinusoidalPositions, TokenEmbedding
from attnbook.transformer.encoder import Encoder, EncoderLayer
from attnbook.transformer.encoder_decoder import AttentionMaps, Memory, Transformer, Writing
from attnbook.transformer.feed_forward import FeedForward
from attnbook.transformer.gpt import Gpt
from attnbook.transformer.patches import cut_into_patches
from attnbook.transformer.residual import Residual
from attnbook.transformer.vit import Vit

__all__ = [
    "AttentionMaps",
    "Bert",
    "CrossAttention",
    "Decoder",
    "DecoderLayer",
    "DecoderWeights",
    "Encoder",
    "EncoderLayer",
    "FeedForward",
    "Gpt",
    "Hypotheses",
    "LayerCache",
    "Memory",
    "MemoryCache",
    "Residual",
    "SinusoidalPositions",
    "TokenEmbedding",
    "Transformer",
    "Vit",
    "Writing",
    "beam",
    "cut_into_patches",
    "greedy",
]
