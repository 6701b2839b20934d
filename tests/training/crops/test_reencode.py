from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidscan.errors import SourceError
from vidscan.media.ffmpeg.decode import probe
from vidscan.media.frames import read_still
from vidscan_training.crops.encode import reencoded


def test_nothing_asked_leaves_the_file_itself(bright_clip):
    with reencoded(bright_clip, None, 1.0) as path:
        assert path == bright_clip


def test_a_clip_is_compressed_and_reduced_and_the_copy_removed(bright_clip):
    with reencoded(bright_clip, 40, 0.5) as path:
        assert abs(probe(path).width - probe(bright_clip).width / 2) <= 1
    assert not path.exists()
    assert not path.parent.exists()


def test_a_still_loses_size_and_detail(tmp_path):
    rng = np.random.default_rng(0)
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), rng.integers(0, 256, (80, 60, 3), dtype=np.uint8))
    with reencoded(still, None, 0.5) as path:
        assert read_still(path).shape == (40, 30, 3)
    with reencoded(still, 40, 1.0) as path:
        assert read_still(path).std() < 0.8 * read_still(still).std()


def test_a_file_that_cannot_be_compressed_is_named(text_as_clip):
    with pytest.raises(SourceError, match=text_as_clip.name), reencoded(text_as_clip, 30, 1.0):
        pass
