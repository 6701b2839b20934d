"""Clips made of the samples, for benchmarks, and a network of the reference's size with random weights."""

from __future__ import annotations

import subprocess
from pathlib import Path

from vidscan.media.ffmpeg.decode import find_program

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SAMPLE_S = 6
"""Length of the samples that are looped, in seconds."""


def looped(name: str, seconds: int, target: Path) -> Path:
    """Writes ``seconds`` of a sample of ``SAMPLE_S`` seconds, said over and over without encoding it anew."""
    loops = str(-(-seconds // SAMPLE_S) - 1)
    command = [find_program(), "-nostdin", "-v", "error", "-y", "-stream_loop", loops]
    command += ["-i", str(SAMPLES / name), "-t", str(seconds), "-c", "copy", str(target)]
    subprocess.run(command, check=True)
    return target


def random_b4(folder: Path) -> Path:
    """A checkpoint of the reference network, whose scores mean nothing and cost what real ones do."""
    from vidscan.models.checkpoint import save_checkpoint
    from vidscan.records import ModelCard
    from vidscan_training.fitting.build import build_network

    path = folder / "random-b4.keras"
    save_checkpoint(build_network("efficientnetb4"), path, ModelCard("random-b4", "efficientnetb4", 380))
    return path
