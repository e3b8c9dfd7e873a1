"""The Transformer (Vaswani et al., 2017) and the models made of its parts.

`Transformer` is an encoder and a decoder; `Bert` is the encoder alone, `Gpt` the same layers under a causal mask, `Vit`
the encoder on the patches of an image, `Llama` a later decoder-only model.
"""

from attnbook.transformer.bert import Bert
from attnbook.transformer.cross_attention import CrossAttention, MemoryCache
from attnbook.transformer.decoder import Decoder, DecoderLayer, DecoderWeights, LayerCache
from attnbook.transformer.decoding import Hypotheses, beam, greedy
from attnbook.transformer.embedding import SinusoidalPositions, TokenEmbedding
from attnbook.transformer.encoder import Encoder, EncoderLayer
from attnbook.transformer.encoder_decoder import AttentionMaps, Memory, Transformer, Writing
from attnbook.transformer.feed_forward import FeedForward
from attnbook.transformer.generation import DecoderOnly, most_probable
from attnbook.transformer.gpt import Gpt
from attnbook.transformer.llama import Llama, LlamaLayer
from attnbook.transformer.patches import cut_into_patches
from attnbook.transformer.residual import Residual
from attnbook.transformer.sampling import draw, probabilities, sampler
from attnbook.transformer.swiglu import SwiGlu
from attnbook.transformer.vit import Vit

__all__ = [
    "AttentionMaps",
    "Bert",
    "CrossAttention",
    "Decoder",
    "DecoderLayer",
    "DecoderOnly",
    "DecoderWeights",
    "Encoder",
    "EncoderLayer",
    "FeedForward",
    "Gpt",
    "Hypotheses",
    "LayerCache",
    "Llama",
    "LlamaLayer",
    "Memory",
    "MemoryCache",
    "Residual",
    "SinusoidalPositions",
    "SwiGlu",
    "TokenEmbedding",
    "Transformer",
    "Vit",
    "Writing",
    "beam",
    "cut_into_patches",
    "draw",
    "greedy",
    "most_probable",
    "probabilities",
    "sampler",
]
