"""The lists of suspects on the page: the head of each, and its worst images."""

from __future__ import annotations

import base64
import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from analysis.studies import Study
from analysis.suspect_images import Named, ran_on
from analysis.suspect_images import read as read_data
from analysis.suspect_scores import Group, groups, stem
from runners.results.places import data_of_study
from runners.system.errors import UserError

MOST_ROWS = 50
MOST_IMAGES = 24
"""Of all lists together."""
MOST_LETTERS = 150_000
"""Of all images together."""
SIDE = 80
"""Pixels of the longer side of an image; smaller ones stay as they are."""
PLAIN = 32 * 32
"""Pixels up to which an image is a PNG, bit for bit, and no JPEG."""
NO_IMAGES = (
    "Its images are not shown: they cannot be read here, or have changed since the study ran "
    "(python analysis/suspects.py says which)."
)


def suspects(study: Study) -> list[dict[str, Any]]:
    """Every list of suspects in a study's folder.

    `name`, and `problem`, a sentence or empty; of a list that can be read also `columns`, `rows`,
    `more` (rows that are left out) and `images` (see `_shown`).
    """
    paths = [
        path for path in sorted(study.folder.glob("suspects*.csv")) if ".old-" not in path.name
    ]
    found = [_read(path) for path in paths]
    whole = [read for read in found if not read["problem"]]
    of_group = {f"{stem(group)}.csv": group for group in groups(study)} if whole else {}
    letters, images = 0, _Images(study)
    for number, read in enumerate(whole):
        # Each list has its share of the images, and the first ones what cannot be shared.
        most = MOST_IMAGES // len(whole) + (number < MOST_IMAGES % len(whole))
        shown = _shown_of(images, of_group.get(read["name"]), read, most)
        for image in shown or []:
            letters += len(image["source"])
            read["images"] += [image] if letters <= MOST_LETTERS else []
        read["problem"] = NO_IMAGES if shown is None else ""
    return found


def _read(path: Path) -> dict[str, Any]:
    said = {"name": path.name, "columns": [], "rows": [], "more": 0, "images": [], "problem": ""}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            lines = csv.reader(file)
            said["columns"] = next(lines, [])
            said["rows"] = list(itertools.islice(lines, MOST_ROWS))
            said["more"] = sum(1 for _ in lines)
        why = "" if said["columns"] else "it is empty"
    except (OSError, csv.Error) as error:
        why = getattr(error, "strerror", "") or f"it is no CSV: {error}"
    if why:
        said |= {"columns": [], "problem": f"This list cannot be read ({why})."}
    return said


class _Images:
    """The images of a study, of one data set at a time, which its groups share."""

    def __init__(self, study: Study) -> None:
        self._study, self._label, self._named = study, "", None

    def of(self, group: Group) -> Named | None:
        """None where they cannot be had, or are others than those of the records."""
        label = group.first["dataset"]
        if label != self._label:
            self._label, self._named = label, None  # the old ones go before the new ones come
            self._named = self._read(label)
        named = self._named
        return named if named is not None and ran_on(group, named.arrays) else None

    def _read(self, label: str) -> Named | None:
        if not data_of_study(self._study.folder, label).is_read:
            return None
        try:
            return Named(*read_data(self._study, label, None))
        except (UserError, OSError):
            return None


def _shown_of(
    of_study: _Images, group: Group | None, read: Mapping[str, Any], most: int
) -> list[dict[str, Any]] | None:
    """The first images of a list that have a score; None where its images cannot be had."""
    if not most:
        return []
    rows = [dict(zip(read["columns"], row, strict=False)) for row in read["rows"]]
    images = of_study.of(group) if group is not None else None
    if images is None:
        return None
    found = []
    for row in [row for row in rows if row.get("score")][:most]:
        name = row.get("path") or row.get("index") or ""
        if (image := images.get(name)) is not None:
            found.append(_shown(row, name, image))
    return found


def _shown(row: Mapping[str, str], name: str, image: np.ndarray) -> dict[str, Any]:
    """`source` (a data URI), `alt`, `caption`, `score`, and `width` and `height` in pixels."""
    given, proposed = row.get("given", ""), row.get("proposed", "")
    changed = bool(proposed) and proposed != given
    source, size = _uri(image)
    alt = f"Image {name}, rank {row.get('rank', '')}: given {given}"
    return {
        "source": source, "width": size[0], "height": size[1], "score": row["score"],
        "alt": f"{alt}{f', proposed {proposed}' * changed}, score {row['score']}",
        "caption": f"{row.get('rank', '')}. {given}{f' → {proposed}' * changed}",
    }  # fmt: skip


def _uri(image: np.ndarray) -> tuple[str, Sequence[int]]:
    """A small copy of an image, uint8 (C, H, W), as text, with its width and height."""
    pixels = image.transpose(1, 2, 0)
    picture = Image.fromarray(pixels if len(image) == 3 else pixels[:, :, 0])
    picture.thumbnail((SIDE, SIDE))
    kind = "png" if picture.width * picture.height <= PLAIN else "jpeg"
    file = io.BytesIO()
    picture.save(file, kind, quality=75, optimize=True)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{kind};base64,{text}", picture.size
