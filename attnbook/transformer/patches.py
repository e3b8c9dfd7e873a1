"""An image as a text: cut into square patches, row by row, each a vector of its numbers."""

from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_size, shape


def cut_into_patches(
    images: Float[Tensor, "batch channels height width"], patch_size: int
) -> Float[Tensor, "batch n components"]:
    """The patches of an image as rows: left to right, then the next row of patches.

    Shapes: images (batch, channels, height, width) -> (batch, n, channels * patch_size**2) with
    n = (height / patch_size) * (width / patch_size). The components of a patch are ordered as in the weights of a
    convolution: channel, then row, then column.
    Raises: ValueError unless patch_size divides height and width; TypeError unless it is a whole number.
    Source: Dosovitskiy et al. (2021), Section 3.1.
    """
    check_size("patch_size", patch_size, least=1)
    if images.dim() != 4:
        raise ValueError(f"images must have shape (batch, channels, height, width); got {shape(images)}")
    batch, channels, height, width = images.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"patch_size must divide height and width, {height} and {width}; got {patch_size}")
    rows, columns = height // patch_size, width // patch_size
    cut = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * patch_size**2)
