"""Fonts for signs: those that training may use, and those kept for testing.

In: a seeded `random.Random`. Out: a font's name, and Pillow fonts by name and size. The fonts are free ones from
Debian's packages of `PACKAGES`; a machine without them draws every sign with Pillow's own font, whose name is "".
"""

from __future__ import annotations

import os
import random
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from ..asked.wordings import choice

FOLDER = Path(os.environ.get("DEMO_FONTS", "/usr/share/fonts"))
PACKAGES = (
    "fonts-liberation", "fonts-freefont-ttf", "fonts-dejavu-core", "fonts-dejavu-extra", "fonts-roboto-unhinted",
    "fonts-lato", "fonts-go", "fonts-comic-neue", "fonts-courier-prime", "fonts-crosextra-carlito",
    "fonts-crosextra-caladea", "fonts-roadgeek", "fonts-hack-ttf", "fonts-cantarell", "fonts-sil-gentium", "fonts-b612",
    "fonts-open-sans", "fonts-ebgaramond", "fonts-jetbrains-mono", "fonts-firacode", "fonts-inconsolata",
    "fonts-linuxlibertine", "fonts-junicode", "fonts-anonymous-pro", "fonts-cabin", "fonts-karla", "fonts-league-mono",
    "fonts-mononoki", "fonts-inter", "fonts-sil-charis", "fonts-sil-andika", "fonts-urw-base35", "fonts-play",
    "fonts-quattrocento", "fonts-noto-core", "fonts-dosis", "fonts-gfs-didot",
)  # fmt: skip
SEEN = (
    "LiberationSans-Regular", "LiberationSans-Bold", "LiberationSans-BoldItalic", "LiberationSansNarrow-Bold",
    "LiberationSerif-Regular", "LiberationSerif-Bold", "LiberationSerif-Italic", "LiberationMono-Bold",
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansCondensed-Bold", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "FreeSans", "FreeSansBold", "FreeSerif",
    "FreeSerifBold", "FreeMonoBold", "Roboto-Regular", "Roboto-Bold", "Roboto-Black", "RobotoCondensed-Bold",
    "Lato-Regular", "Lato-Bold", "Lato-Black", "Go-Regular", "Go-Bold", "Go-Mono-Bold", "ComicNeue-Bold",
    "Courier Prime Bold", "Courier Prime Sans Bold", "Carlito-Regular", "Carlito-Bold", "Caladea-Regular",
    "Caladea-Bold", "RG2014D", "RG2014E", "Hack-Bold", "Cantarell-Bold", "Cantarell-Regular", "Gentium-R", "B612-Bold",
    "B612Mono-Bold",
)  # fmt: skip
# For training alone: held-out questions about signs in seen fonts stay what they were.
FURTHER = (
    "FiraCode-Regular", "FiraCode-Bold", "Inconsolata", "LinLibertine_R", "LinLibertine_RB", "LinBiolinum_R",
    "LinBiolinum_RB", "JunicodeTwoBeta-Regular", "JunicodeTwoBeta-Bold", "Anonymous Pro", "Anonymous Pro B",
    "Cabin-Regular", "Cabin-Bold", "Karla-Regular", "Karla-Bold", "LeagueMono-Regular", "LeagueMono-Bold",
    "mononoki-Regular", "mononoki-Bold", "Inter-Regular", "Inter-Bold", "CharisSIL-Regular", "CharisSIL-Bold",
    "Andika-Regular", "Andika-Bold", "C059-Roman", "C059-Bold", "P052-Roman", "P052-Bold", "NimbusRoman-Regular",
    "NimbusSans-Regular", "NimbusSansNarrow-Bold", "NimbusMonoPS-Bold", "URWBookman-Light", "URWBookman-Demi",
    "URWGothic-Book", "URWGothic-Demi", "Play-Regular", "Play-Bold", "Quattrocento-Regular",
    "NotoSans-Regular", "NotoSans-Bold", "NotoSerif-Regular", "NotoSerif-Bold", "Dosis-SemiBold", "Dosis-Medium",
    "GFSDidot", "GFSDidotBold",
)  # fmt: skip
HELD_OUT = (
    "OpenSans-Regular", "OpenSans-Bold", "EBGaramond12-Bold", "EBGaramond12-Regular", "JetBrainsMono-Bold",
    "JetBrainsMono-Regular",
)  # fmt: skip


@lru_cache(maxsize=1)
def installed() -> dict[str, Path]:
    """Return the files of all fonts on this machine by name, without their ending."""
    return {path.stem: path for ending in ("ttf", "otf") for path in sorted(FOLDER.rglob(f"*.{ending}"))}


def random_font(rng: random.Random, *, held_out: bool = False) -> str:
    """Choose a font's name.

    Args:
        rng: Source of chance.
        held_out: Choose from the fonts that training never uses.

    Returns:
        A name for `load`; "" (Pillow's own) where this machine lacks the chosen font.
    """
    name = rng.choice(HELD_OUT) if held_out else choice(rng, SEEN, FURTHER)
    return name if name in installed() else ""


def missing() -> list[str]:
    """Name the fonts of the recipe that this machine lacks."""
    return [name for name in (*SEEN, *FURTHER, *HELD_OUT) if name not in installed()]


@lru_cache(maxsize=4000)
def load(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Load a font; "" is Pillow's embedded one, so that every machine draws the same letters."""
    if name:
        return ImageFont.truetype(str(installed()[name]), size)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@lru_cache(maxsize=1000)
def capital_height(name: str) -> float:
    """Return the height of a capital letter as a share of the em."""
    box = load(name, 200).getbbox("H", anchor="ls")
    return (box[3] - box[1]) / 200
