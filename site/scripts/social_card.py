"""Draw site/assets/social-card.png, the picture that stands beside a link to the book elsewhere: 1200 by 630 pixels.

python site/scripts/social_card.py
"""

import io
from pathlib import Path

import numpy as np
import torch
import yaml
from matplotlib import pyplot as plt
from PIL import Image

from attnbook import attention, masks

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "site" / "assets" / "social-card.png"
INK, MUTED, QUERY, KEY, VALUE = "#1f2933", "#52606d", "#0067a3", "#b04a00", "#00724f"
COLORS = {"query": QUERY, "key": KEY, "value": VALUE}
SIZE = 7  # how many queries and keys the grid shows


def weights():
    """Causal attention of random queries to random keys: what the grid shows is attention and no drawing of it."""
    generator = torch.Generator().manual_seed(4)
    query, key = (torch.randn(SIZE, 4, generator=generator) for _ in range(2))
    return attention(query, key, key, mask=masks.causal(SIZE))[1].numpy()


def draw():
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    figure = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="white")
    heading = title.replace(", ", ",\n")
    figure.text(0.07, 0.68, heading, size=52, weight="bold", color=INK, va="center", linespacing=1.15)
    figure.text(0.07, 0.42, "Attention mechanisms,\ntaught by executing them", size=23, color=MUTED, va="center")
    for x, (name, color) in zip((0.07, 0.17, 0.24), COLORS.items(), strict=True):
        figure.text(x, 0.23, name, size=22, weight="bold", color=color, va="center")
    axes = figure.add_axes((0.57, 0.1, 0.4, 0.4 * 12 / 6.3))
    seen = np.tri(SIZE, dtype=bool)
    shown = np.where(seen, weights(), np.nan)
    axes.pcolormesh(shown, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=3)
    for i, j in zip(*np.nonzero(seen), strict=True):
        ink = "white" if shown[i, j] > 0.55 else INK
        axes.text(j + 0.5, i + 0.5, f"{shown[i, j]:.2f}", size=14, color=ink, ha="center", va="center")
    axes.invert_yaxis()
    middles, numbers = np.arange(SIZE) + 0.5, range(1, SIZE + 1)
    axes.set_xticks(middles, [f"$k_{number}$" for number in numbers], size=20, color=KEY)
    axes.set_yticks(middles, [f"$q_{number}$" for number in numbers], size=20, color=QUERY)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    buffer = io.BytesIO()
    figure.savefig(buffer)
    # Few colors are enough, and make it small.
    Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(CARD, optimize=True)


if __name__ == "__main__":
    draw()
