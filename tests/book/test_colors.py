"""Text in the book's own colors has the contrast that WCAG 2.2 AA asks for, 4.5 to 1, in both modes."""

import re

import pytest


def variables(css, mode):
    block = re.search(rf'html\[data-theme="{mode}"\] \{{(.*?)\}}', css, re.DOTALL).group(1)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_of_known_pairs():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colors(root, mode):
    colors = variables((root / "site" / "assets" / "book.css").read_text(), mode)
    page = colors.get("pst-color-background", "#ffffff")
    text = {"light": "#222832", "dark": "#ced6dd"}[mode]
    pairs = [(name, page) for name in ("query", "key", "value", "pst-color-link", "pst-color-link-hover", "wrong")]
    pairs += [(name, colors[f"{name}-ground"]) for name in ("holds", "conditional", "wrong", "omits", "exercise")]
    pairs += [("pst-color-inline-code", colors["input-ground"])]
    for name, ground in pairs:
        assert contrast(colors[name], ground) >= 4.5, (mode, name)
        assert contrast(text, ground) >= 4.5, (mode, "text on", ground)
        assert contrast(colors["pst-color-link"], ground) >= 4.5, (mode, "link on", ground)
