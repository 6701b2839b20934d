"""How photographs, and drawings that filters made of them, are told apart, and which are called REAL.

    python benchmarks/drawings.py [DATA] [--photographs 60] [--jpeg 90]

DATA is the folder of research data (``../shared/data`` beside the repository): genuine stills of its
``stills`` and ``faces``, the first of each source. Prints the table of benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import vidscan

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
Picture = np.ndarray[Any, np.dtype[np.uint8]]


def cel(picture: Picture) -> Picture:
    """Areas of ten colours."""
    even = cv2.pyrMeanShiftFiltering(picture, 15, 30)
    cv2.setRNGSeed(1)
    pixels, until = even.reshape(-1, 3).astype(np.float32), (3, 10, 1.0)
    _, numbers, colours = cv2.kmeans(pixels, 10, None, until, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return np.asarray(colours[numbers.ravel()].reshape(picture.shape), np.uint8)


def cartoon(picture: Picture) -> Picture:
    """Smooth areas with dark outlines."""
    even = picture
    for _ in range(5):
        even = np.asarray(cv2.bilateralFilter(even, 9, 40, 9), np.uint8)
    grey = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 7)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 3)
    return np.asarray(cv2.bitwise_and(even, even, mask=lines), np.uint8)


FILTERS = {
    "the photograph": lambda picture: picture,
    "ten colours": cel,
    "cartoon": cartoon,
    "stylization": lambda picture: cv2.stylization(picture, sigma_s=60, sigma_r=0.45),
    "pencil": lambda picture: cv2.pencilSketch(picture, sigma_s=60, sigma_r=0.07, shade_factor=0.05)[1],
    "smoothed": lambda picture: cv2.edgePreservingFilter(picture, flags=1, sigma_s=60, sigma_r=0.4),
    "oil": lambda picture: cv2.medianBlur(cv2.medianBlur(picture, 9), 9),
}


def photographs(data: Path, count: int) -> Iterator[Path]:
    """Paths of so many genuine portraits, from each source in turn."""
    sources: dict[str, list[Path]] = defaultdict(list)
    with (data / "stills" / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            if row["label"] == "real":
                sources[row["source"]].append(data / "stills" / row["file"])
    sources["ffhq512"] = sorted((data / "faces" / "ffhq512").iterdir())
    turns = [(number, path) for paths in sources.values() for number, path in enumerate(paths)]
    yield from (path for _, path in sorted(turns, key=lambda turn: turn[0])[:count])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=DATA)
    parser.add_argument("--photographs", type=int, default=60)
    parser.add_argument("--jpeg", type=int, default=90, help="quality of the JPEGs that are scanned")
    asked = parser.parse_args()
    said: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for number, path in enumerate(photographs(asked.data, asked.photographs)):
            picture = np.asarray(cv2.imread(str(path)), np.uint8)
            for name, drawn in FILTERS.items():
                paths[Path(folder) / f"{number}-{name}.jpg"] = name
                cv2.imwrite(
                    f"{folder}/{number}-{name}.jpg", drawn(picture), [cv2.IMWRITE_JPEG_QUALITY, asked.jpeg]
                )
        for report, name in zip(vidscan.scan_many(paths), paths.values(), strict=True):
            assert report.verdict is not None
            held_back = "of a drawing" in report.verdict.reason
            said[name]["held back" if held_back else report.verdict.label.value] += 1
    columns = ("REAL", "held back", "UNCERTAIN", "FAKE", "NO_FACE")
    print(
        "| picture | REAL | UNCERTAIN as a drawing | UNCERTAIN | FAKE | no face |\n|---|---|---|---|---|---|"
    )
    for name, counts in said.items():
        print(f"| {name} | {' | '.join(str(counts[each]) for each in columns)} |")


if __name__ == "__main__":
    main()
