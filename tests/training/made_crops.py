"""A small crop folder made of noise and gradients, with labels that a small network can learn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from vidscan_training.crops.folder import CropRow, write_manifest

SIZE = 32


def make_crop_folder(
    folder: Path, *, groups: int = 6, crops: int = 3, size: int = SIZE, portraits: int = 6, seed: int = 0
) -> Path:
    """Writes a crop folder: clips of ``groups`` people by two manipulations, and portraits of two kinds."""
    rng = np.random.default_rng(seed)
    (folder / "crops").mkdir(parents=True)
    rows: list[CropRow] = []
    for group in range(groups):
        for method in ("original", "deepfakes", "faceswap"):
            for i in range(crops):
                rows.append(_row(method, f"pair{group}", f"{method}_{group}.mp4", i * 0.5, 80.0))
    for i in range(portraits):
        rows.append(_row("ffhq512", f"big{i}", f"big{i}.jpg", 0.0, 300.0))
        rows.append(_row("ffhq256", f"small{i}", f"small{i}.jpg", 0.0, 14.0))
        rows.append(_row("stylegan256", f"gan{i}", f"gan{i}.jpg", 0.0, 14.0))
    for row in rows:
        cv2.imwrite(str(folder / row.file), _picture(row.label, size, rng))
    write_manifest(folder / "manifest.csv", rows)
    (folder / "crops.json").write_text(json.dumps({"input_size": size, "margin": 1.4, "vidscan": "test"}))
    np.save(folder / "landmarks.npy", _landmarks(len(rows), size))
    return folder


def _row(method: str, group: str, clip: str, time_s: float, side: float) -> CropRow:
    label = "real" if method in ("original", "ffhq512", "ffhq256") else "fake"
    stem = clip.partition(".")[0]
    file = f"crops/{stem}-{round(time_s * 1000):05d}.png"
    return CropRow(file, label, method, group, clip, time_s, 10.0, 10.0, side, side, 0.9)


def _picture(label: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Fakes are greener than reals, behind a good deal of noise."""
    base = rng.uniform(60, 160, 3) + (np.array([0, 45, 0]) if label == "fake" else 0)
    return np.clip(base + rng.normal(0, 25, (size, size, 3)), 0, 255).astype(np.uint8)


def _landmarks(rows: int, size: int) -> np.ndarray:
    """An oval of 468 points in each crop; the second row has none."""
    angle = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    reach = np.where(np.arange(468) % 2, 0.36, 0.2)[:, None] * size
    oval = size / 2 + reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    landmarks = np.repeat(oval[None], rows, axis=0).astype(np.float16)
    landmarks[1] = np.nan
    return landmarks
