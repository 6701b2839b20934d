"""Faces cut out of their frame: what each network gets, and what travels along."""

from __future__ import annotations

import numpy as np

from vidscan.faces.cropping import crop_faces
from vidscan.faces.crops import still_views, upright_crop
from vidscan.records import Box, Frame, Geometry, Quality, Sighting

IMAGE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
FRAME = Frame("4", 7, 3.5, IMAGE)


def sighting(x: float, y: float, side: float, **others) -> Sighting:
    return Sighting(7, 3.5, Box(x, y, side, side), 0.8, **others)


def test_a_crop_has_all_that_is_known_of_its_face():
    seen = [(sighting(20, 30, 40, quality=Quality(0.5)), 3), (sighting(-10, 60, 30), 5)]
    crops = list(crop_faces(FRAME, seen, [Geometry(32, 1.4)]))
    assert [crop.box for crop in crops] == [each.box for each, _ in seen]
    assert [(crop.track, crop.quality.size) for crop in crops] == [(3, 0.5), (5, 1.0)]
    assert {(crop.source_id, crop.frame_index, crop.time_s) for crop in crops} == {("4", 7, 3.5)}
    assert {crop.confidence for crop in crops} == {0.8}


def test_a_face_is_cut_out_upright_once_for_each_geometry():
    geometries = [Geometry(32, 1.4), Geometry(48, 1.0), Geometry(32, 1.4, level=True)]
    face = sighting(20, 30, 40, roll=120.0)
    (crop,) = crop_faces(FRAME, [(face, 1)], geometries)
    for cut, geometry in zip(crop.images, geometries, strict=True):
        assert np.array_equal(cut, upright_crop(IMAGE, face.box, geometry=geometry, roll=120.0))
    assert not np.array_equal(crop.images[0], crop.images[2])


def test_a_face_of_a_still_is_cut_out_in_all_its_views():
    geometries = [Geometry(32, 1.4), Geometry(48, 1.0)]
    face = sighting(20, 30, 40, roll=90.0)
    crops = list(crop_faces(FRAME, [(face, 2)], geometries, still=True))
    assert [crop.view for crop in crops] == [0, 1, 2, 3]
    assert {(crop.box, crop.track) for crop in crops} == {(face.box, 2)}
    for crop, view in zip(crops, still_views(face.box), strict=True):
        for cut, geometry in zip(crop.images, geometries, strict=True):
            expected = upright_crop(IMAGE, view.box, geometry=geometry, roll=90.0)
            assert np.array_equal(cut, expected[:, ::-1] if view.mirrored else expected)
            assert cut.flags.c_contiguous
    (plain,) = crop_faces(FRAME, [(face, 2)], geometries)
    assert np.array_equal(plain.images[0], crops[0].images[0])
    assert np.array_equal(crops[1].images[0], crops[0].images[0][:, ::-1])


def test_nobody_gives_no_crop():
    assert list(crop_faces(FRAME, [], [Geometry(32, 1.4)])) == []
