"""A ViT-type model: the encoder reads the patches of an image as it would read the tokens of a text."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.attention import Mask
from attnbook.positions import LearnedPositions
from attnbook.transformer.encoder import Encoder
from attnbook.transformer.initialization import start_small
from attnbook.transformer.patches import cut_into_patches

Images = Float[Tensor, "batch channels height width"]
Weights = list[Float[Tensor, "batch n_heads n n"]] | None


class Vit(nn.Module):
    """A class token and the projected patches, + learned positions, through a pre-norm encoder with GELU.

    The class token is a learned vector without a patch; its last vector answers for the whole image. It stands at
    position 0, the patches at 1, 2, ... The sizes by default are those of ViT-Base.
    image_size, patch_size: the side of the square image and of a patch, in pixels.
    Raises: TypeError or ValueError for sizes that cannot be.
    Source: Dosovitskiy et al. (2021), Section 3.1, Eqs. 1-4.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        image_size: int = 224,
        patch_size: int = 16,
        n_channels: int = 3,
        d_model: int = 768,
        n_heads: int = 12,
        n_layers: int = 12,
        d_hidden: int = 3072,
        dropout: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        for name, size in (("n_classes", n_classes), ("image_size", image_size), ("n_channels", n_channels)):
            check_size(name, size, least=1)
        check_size("patch_size", patch_size, least=1)
        if image_size % patch_size:
            raise ValueError(f"patch_size must divide image_size, {image_size}; got {patch_size}")
        self.patch_size = patch_size
        self.embed = nn.Linear(n_channels * patch_size**2, d_model)
        self.class_token = nn.Parameter(torch.zeros(d_model))
        self.positions = LearnedPositions(1 + (image_size // patch_size) ** 2, d_model)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(n_layers, d_model, n_heads, d_hidden, activation="gelu", dropout=dropout, eps=eps)
        self.head = nn.Linear(d_model, n_classes)
        start_small(self)

    def encode(
        self, images: Images, *, mask: Mask | None = None, need_weights: bool = False
    ) -> tuple[Float[Tensor, "batch n d_model"], Weights]:
        """One vector for the class token and one for each patch, and each layer's weights or None.

        mask: as in `MultiHeadAttention`, over 1 + (number of patches) positions.
        """
        patches = self.embed(cut_into_patches(images, self.patch_size))
        first = self.class_token.expand(len(images), 1, -1)
        x = torch.cat([first, patches], dim=1)
        x = self.dropout(x + self.positions(x.shape[1]))
        return self.encoder(x, mask=mask, need_weights=need_weights)

    def forward(
        self, images: Images, *, mask: Mask | None = None, need_weights: bool = False
    ) -> tuple[Float[Tensor, "batch n_classes"], Weights]:
        """Logits of the classes, from the class token's vector. Else as `encode`."""
        x, weights = self.encode(images, mask=mask, need_weights=need_weights)
        return self.head(x[:, 0]), weights
