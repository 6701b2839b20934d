"""H.264 as an augmentation: a share of each batch goes through a real encoder.

ffmpeg takes as long to start as to encode a batch, so unlike what :mod:`vidscan_training.data.augment` does
to one picture at a time, this is done to those of a batch together.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vidscan.records import Image
from vidscan_training.crops.encode import through_h264
from vidscan_training.data.augment_presets import AugmentOptions

_MACROBLOCK = 16
"""Pixels on a side of H.264's largest block; a face lies anywhere on the grid of its video."""


def compress_some(pictures: Sequence[Image], looks: Sequence[int], options: AugmentOptions) -> list[Image]:
    """Encodes the share ``options.h264`` of a batch and decodes it again, all at one size and CRF.

    ``pictures``: RGB ``uint8[n, n, 3]``, 0-255, of one size, as those returned; those that were not chosen
    are the very ones given. ``looks``: a seed each; pictures of one seed (a forgery and the crop that it was
    made of) are compressed both or neither, and lie alike on the encoder's grid. Raises VidscanError where
    there is no ffmpeg with libx264.
    """
    changed = list(pictures)
    if options.h264 == 0:
        return changed
    chosen = [i for i, look in enumerate(looks) if np.random.default_rng([look, 2]).random() < options.h264]
    if not chosen:
        return changed
    rng = np.random.default_rng([looks[chosen[0]], 3])
    side = pictures[0].shape[0]
    # On a log scale: as often from half the size to a quarter as from the full one to half.
    coded = round(side * float(np.exp(rng.uniform(np.log(options.h264_smallest), 0.0))))
    crf = int(rng.integers(options.h264_crf[0], options.h264_crf[1] + 1))
    starts = [tuple(np.random.default_rng([looks[i], 4]).integers(0, _MACROBLOCK, 2)) for i in chosen]
    frames = [_frame(pictures[i], coded, start) for i, start in zip(chosen, starts, strict=True)]
    for i, (down, right), frame in zip(chosen, starts, through_h264(frames, crf), strict=True):
        face = frame[down : down + coded, right : right + coded]
        changed[i] = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return changed


def _frame(picture: Image, coded: int, start: tuple[int, ...]) -> Image:
    """The picture at ``coded`` pixels, ``start`` (down, right) from the corner of a slightly larger frame."""
    small = cv2.resize(picture, (coded, coded), interpolation=cv2.INTER_AREA)
    down, right = start
    rest = (_MACROBLOCK - down, _MACROBLOCK - right)
    return np.asarray(
        cv2.copyMakeBorder(small, down, rest[0], right, rest[1], cv2.BORDER_REPLICATE), np.uint8
    )
