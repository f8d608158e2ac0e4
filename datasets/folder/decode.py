"""One image file as a square array: any mode and orientation that Pillow reads."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
"""Pillow's modes without colour."""
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, AttributeError, struct.error),
    Image.DecompressionBombError,
)
"""What Pillow raises on files that are no images, or damaged ones; the last but one of odd EXIF."""


class Header(NamedTuple):
    """What a file says before it is decoded."""

    short_side: int
    grey: bool


def header(content: bytes) -> Header:
    """Reads the head of an image file.

    Raises:
        one of BROKEN: it is no image.
    """
    with Image.open(io.BytesIO(content)) as image:
        return Header(min(image.size), image.mode in GREY)


def square(content: bytes, size: int, channels: int, fit: str) -> np.ndarray:
    """The image as uint8 (channels, size, size).

    Turned as EXIF says, transparent parts on white, 16 bits a channel as 8.

    Args:
        channels: 1 (grey) or 3 (RGB).
        fit: "crop" scales the short side to `size` and cuts off the ends of the long one;
            "stretch" scales both.

    Raises:
        one of BROKEN: it is no image, or cut off.
    """
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "JPEG" and min(image.size) > 2 * size:
            image.draft(None, (2 * size, 2 * size))  # decodes at a half, quarter or eighth: faster
        turned = ImageOps.exif_transpose(image)
        plain = opaque(turned).convert("L" if channels == 1 else "RGB")
        if fit == "crop":
            plain = ImageOps.fit(plain, (size, size), Image.Resampling.BICUBIC)
        else:
            plain = plain.resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(plain, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def opaque(image: Image.Image) -> Image.Image:
    """The image on white where it is transparent, and with at most 8 bits a channel."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        top = values.max(initial=0)
        values = values / 257 if 255 < top <= 65535 else values * (255 / top if top > 65535 else 1)
        return Image.fromarray(values.clip(0, 255).round().astype(np.uint8), "L")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        colour = image.convert("RGBA")
        ground = Image.new("RGBA", colour.size, "white")
        return Image.alpha_composite(ground, colour)
    return image
