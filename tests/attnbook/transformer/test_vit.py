"""The vision Transformer against that of the transformers library, with the same weights; patches, a convolution."""

import pytest
import torch
import torch.nn.functional as F
import transformers

from attnbook.transformer import Vit, cut_into_patches
from tests.attnbook.transformer.torch_weights import randomize

EXACT = {"rtol": 1e-9, "atol": 1e-11}
SIZES = {"image_size": 6, "patch_size": 2, "n_channels": 3, "d_model": 12, "n_heads": 3, "n_layers": 2, "d_hidden": 16}


@pytest.fixture
def vits():
    """Ours and theirs, with the same random weights."""
    config = transformers.ViTConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=16,
        image_size=6,
        patch_size=2,
        num_channels=3,
        num_labels=5,
        layer_norm_eps=1e-6,
        attn_implementation="sdpa",
    )
    theirs = randomize(transformers.ViTForImageClassification(config)).eval()
    ours = Vit(5, **SIZES).double().eval()
    state, own = {key.removeprefix("vit."): value for key, value in theirs.state_dict().items()}, ours.state_dict()
    moved = {
        "class_token": state["embeddings.cls_token"][0, 0],
        "positions.weight": state["embeddings.position_embeddings"][0],
        "embed.weight": state["embeddings.patch_embeddings.projection.weight"].flatten(1),
        "embed.bias": state["embeddings.patch_embeddings.projection.bias"],
        "encoder.norm.weight": state["layernorm.weight"],
        "encoder.norm.bias": state["layernorm.bias"],
        "head.weight": state["classifier.weight"],
        "head.bias": state["classifier.bias"],
    }
    names = {
        "self_attention.q_proj": "attention.q_proj",
        "self_attention.k_proj": "attention.k_proj",
        "self_attention.v_proj": "attention.v_proj",
        "self_attention.out_proj": "attention.o_proj",
        "after_self_attention.norm": "layernorm_before",
        "feed_forward.W_1": "mlp.fc1",
        "feed_forward.W_2": "mlp.fc2",
        "after_feed_forward.norm": "layernorm_after",
    }
    for k in range(2):
        for name, other in names.items():
            for part in ("weight", "bias"):
                moved[f"encoder.layers.{k}.{name}.{part}"] = state[f"layers.{k}.{other}.{part}"]
    assert set(moved) == set(own)
    ours.load_state_dict(moved)
    return ours, theirs


def test_vit(vits):
    ours, theirs = vits
    images = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    logits, weights = ours(images, need_weights=True)
    torch.testing.assert_close(logits, theirs(images).logits, **EXACT)
    theirs.set_attn_implementation("eager")  # gives the weights, and takes their softmax in single precision
    for own, other in zip(weights, theirs(images, output_attentions=True).attentions, strict=True):
        torch.testing.assert_close(own, other.double(), rtol=1e-5, atol=1e-7)
    assert ours(images)[1] is None


def test_gradients_reach_every_parameter(vits):
    ours, theirs = vits
    images = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    labels = torch.tensor([0, 4, 2, 2])
    F.cross_entropy(ours(images)[0], labels).backward()
    F.cross_entropy(theirs(images).logits, labels).backward()
    torch.testing.assert_close(ours.class_token.grad, theirs.vit.embeddings.cls_token.grad[0, 0], **EXACT)
    assert all(
        parameter.grad.abs().max() > 0 for name, parameter in ours.named_parameters() if "k_proj.bias" not in name
    )


def test_patches_are_those_of_a_convolution():
    images = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    weight = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    by_convolution = F.conv2d(images, weight, stride=2).flatten(2).mT
    patches = cut_into_patches(images, 2)
    assert patches.shape == (2, 12, 12)
    torch.testing.assert_close(patches @ weight.flatten(1).T, by_convolution)
    torch.testing.assert_close(patches[1, 4], images[1, :, 2:4, 2:4].flatten())  # row 1, column 1 of patches


def test_a_mask_closes_pairs(vits):
    ours, _ = vits
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    mask = torch.ones(10, 10, dtype=torch.bool)
    mask[:, 9] = False
    mask[9, 9] = True
    changed = images.clone()
    changed[:, :, 4:, 4:] += 1  # the last patch
    torch.testing.assert_close(ours(images, mask=mask)[0], ours(changed, mask=mask)[0], **EXACT)
    assert (ours(images)[0] - ours(changed)[0]).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"patch_size": 4}, ValueError, "patch_size must divide image_size, 6; got 4"),
        ({"patch_size": 0}, ValueError, "patch_size"),
        ({"n_channels": 1.5}, TypeError, "n_channels"),
    ],
)
def test_bad_sizes(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Vit(5, **{**SIZES, **change})


def test_bad_images(own_errors):
    with pytest.raises(ValueError, match="must have shape"):
        cut_into_patches(torch.zeros(3, 6, 6), 2)
    with pytest.raises(ValueError, match="patch_size must divide height and width, 6 and 7; got 2"):
        cut_into_patches(torch.zeros(1, 3, 6, 7), 2)
