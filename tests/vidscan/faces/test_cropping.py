"""Faces cut out of their frame: what each network gets, and what travels along."""

from __future__ import annotations

import numpy as np

from vidscan.faces.crops import crop_faces, still_views, upright_crop
from vidscan.records import Box, FaceSeen, Frame, Geometry

IMAGE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
FRAME = Frame("4", 7, 3.5, IMAGE)


def seen(x: float, y: float, side: float, roll: float = 0.0) -> FaceSeen:
    return FaceSeen("4", 7, 3.5, Box(x, y, side, side), 0.8, roll)


def test_faces_come_in_order_with_all_that_is_known_of_them():
    faces = [seen(20, 30, 40), seen(-10, 60, 30)]
    crops = list(crop_faces(FRAME, faces, [Geometry(32, 1.4)]))
    assert [crop.face for crop in crops] == faces


def test_a_face_is_cut_out_upright_once_for_each_geometry():
    geometries = [Geometry(32, 1.4), Geometry(48, 1.0), Geometry(32, 1.4, level=True)]
    face = seen(20, 30, 40, roll=120.0)
    (crop,) = crop_faces(FRAME, [face], geometries)
    for cut, geometry in zip(crop.images, geometries, strict=True):
        assert np.array_equal(cut, upright_crop(IMAGE, face.box, geometry=geometry, roll=120.0))
    assert not np.array_equal(crop.images[0], crop.images[2])


def test_a_face_of_a_still_is_cut_out_in_all_its_views():
    geometries = [Geometry(32, 1.4), Geometry(48, 1.0)]
    face = seen(20, 30, 40, roll=90.0)
    crops = list(crop_faces(FRAME, [face], geometries, still=True))
    assert [crop.face for crop in crops] == [face] * 4
    for crop, view in zip(crops, still_views(face.box), strict=True):
        for cut, geometry in zip(crop.images, geometries, strict=True):
            expected = upright_crop(IMAGE, view.box, geometry=geometry, roll=90.0)
            assert np.array_equal(cut, expected[:, ::-1] if view.mirrored else expected)
            assert cut.flags.c_contiguous
    (plain,) = crop_faces(FRAME, [face], geometries)
    assert np.array_equal(plain.images[0], crops[0].images[0])
    assert np.array_equal(crops[1].images[0], crops[0].images[0][:, ::-1])


def test_nobody_gives_no_crop():
    assert list(crop_faces(FRAME, [], [Geometry(32, 1.4)])) == []
