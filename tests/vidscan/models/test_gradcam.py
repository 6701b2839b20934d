"""Grad-CAM: right by hand, right for any head and nesting, and on the forged part of a picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vidscan.errors import ModelError
from vidscan.faces.crops import square_crop
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media.frames import read_still
from vidscan.models.checkpoint import load_model
from vidscan.models.gradcam import GradCam, with_heat
from vidscan.models.landmarks import FaceLandmarker
from vidscan.options import DetectionOptions
from vidscan.records import EvidenceCrop, Geometry, HeatKind, HeatSource, ModelCard
from vidscan.system.frameworks import import_keras
from vidscan_training.data.self_blend import self_blend
from vidscan_training.fitting.build import build_network, put_head

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[3] / "samples"
SIDE, PATCH = 32, 8


def explained(network, positive_class: str = "real") -> GradCam:
    return GradCam.of(
        SimpleNamespace(network=network, card=ModelCard("toy", "none", SIDE, positive_class=positive_class))
    )


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise, in every second picture with a patch of coarse grain somewhere; and where it is."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(60, 190, (count, 6, 6, 3)).astype(np.float32)
    made = np.stack([cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for each in base])
    masks = np.zeros((count, SIDE, SIDE), bool)
    for number in range(1, count, 2):
        y, x = rng.integers(0, SIDE - PATCH, 2)
        masks[number, y : y + PATCH, x : x + PATCH] = True
        made[number][masks[number]] += rng.choice([-40.0, 40.0], (PATCH * PATCH, 1)).astype(np.float32)
    return np.clip(made, 0, 255).astype(np.uint8), masks


def small_network(head: str, layer: str):
    keras = import_keras()
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3), name="crop")
    x = layers.Rescaling(1 / 128, offset=-1)(inputs)
    for number, channels in enumerate((8, 12, 16)):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.Activation("relu", name=layer if number == 2 else f"relu{number}")(x)
    return keras.Model(inputs, put_head(x, head, 0.1))


@pytest.fixture(scope="module", params=[("reference", "any"), ("region", "top_activation")])
def patch_finder(request):
    """A network trained to tell pictures with a patch (fake) from those without."""
    keras = import_keras()
    keras.utils.set_random_seed(3)
    network = small_network(*request.param)
    crops, masks = pictures(384, seed=1)
    real = (~masks.any(axis=(1, 2))).astype(np.float32)[:, None]
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8  # so few steps would leave the usual averages where they began
    network.compile(keras.optimizers.Adam(4e-3), "binary_crossentropy")
    network.fit(crops, real, batch_size=64, epochs=14, verbose=0)
    return network


def share_inside(heat: np.ndarray, mask: np.ndarray) -> float:
    """How much of the heat falls on the mask, over what an even map would have there: 1 is chance."""
    large = np.clip(cv2.resize(heat, mask.shape[::-1], interpolation=cv2.INTER_LINEAR), 0, None)
    return float((large * mask).sum() / max(large.sum(), 1e-9) / mask.mean())


def points_at(heat: np.ndarray, mask: np.ndarray) -> bool:
    """The pointing game: whether the centre of the hottest cell lies on the mask."""
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    scale = len(mask) / len(heat)
    return bool(mask[int((row + 0.5) * scale), int((column + 0.5) * scale)])


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask made wider by so much: a cell of a map is no finer than that."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def test_heat_falls_on_what_the_network_was_trained_to_find(patch_finder):
    crops, masks = pictures(64, seed=2)
    planted = masks.any(axis=(1, 2))
    said = np.asarray(patch_finder.predict_on_batch(crops))[:, 0] < 0.5
    assert (said == planted).mean() > 0.9, "the network has learned its task"
    maps = explained(patch_finder).heat(crops[planted])
    found = [grown(mask, SIDE // 4 // 2 // 2) for mask in masks[planted]]
    gains = [share_inside(*pair) for pair in zip(maps, found, strict=True)]
    hits = [points_at(*pair) for pair in zip(maps, found, strict=True)]
    assert np.median(gains) > 2, "twice the heat that an even map would put there"
    assert np.mean(hits) > 0.8 > 2 * np.mean([mask.mean() for mask in found])


def test_map_is_grad_cam_by_hand():
    """Linear head: the gradient of the logit is the weight itself, so the map is known."""
    network = small_network("linear", "top_activation")
    crops, _ = pictures(3, seed=5)
    keras = import_keras()
    features = np.asarray(keras.Model(network.inputs, network.get_layer("top_activation").output)(crops))
    weights = network.layers[-1].get_weights()[0][:, 0]
    for positive_class, sign in (("real", -1), ("fake", 1)):
        expected = np.maximum(sign * features @ weights, 0)
        expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-12)
        np.testing.assert_allclose(
            np.stack(explained(network, positive_class).heat(crops)), expected, atol=1e-4
        )


def test_region_head_shows_its_cells():
    network = small_network("region", "top_activation")
    crops, _ = pictures(4, seed=5)
    keras = import_keras()
    cells = np.asarray(keras.Model(network.inputs, network.get_layer("forgery_cells").output)(crops))[..., 0]
    cells = np.maximum(cells - network.get_layer("forgery_cells").get_weights()[1], 0)
    expected = cells / np.maximum(cells.max(axis=(1, 2), keepdims=True), 1e-12)
    np.testing.assert_allclose(np.stack(explained(network).heat(crops)), expected, atol=1e-4)


def test_a_saturated_network_still_has_a_map():
    """Of a P(fake) of exactly 1 the sigmoid's own gradient is 0."""
    network = small_network("linear", "any")
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([np.abs(kernel) * 1000, bias + 200])
    crops, _ = pictures(2, seed=5)
    assert np.all(network.predict_on_batch(crops) == 1.0)
    assert all(heat.max() == 1 for heat in explained(network, "fake").heat(crops))


def test_where_nothing_speaks_for_a_forgery_the_map_is_empty():
    network = small_network("linear", "any")
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([np.abs(kernel), bias])
    crops, _ = pictures(2, seed=5)
    assert all(heat.max() == 0 for heat in explained(network, "real").heat(crops))
    assert explained(network).heat(crops[:0]) == []


def nested(how: str):
    """The same layers in other arrangements, and flat."""
    keras = import_keras()
    layers = keras.layers
    parts = [
        layers.Conv2D(6, 3, strides=2, activation="relu"),
        layers.Conv2D(5, 3, strides=2, activation="relu"),
    ]
    pool, last = layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid")
    scale = layers.Rescaling(1 / 255)
    inputs = keras.Input((SIDE, SIDE, 3))
    flat = keras.Sequential([inputs, scale, *parts, pool, last])
    if how == "backbone without pooling":
        base = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts])
        return flat, keras.Sequential([keras.Input((SIDE, SIDE, 3)), scale, base, pool, last])
    if how == "backbone with pooling":
        base = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts, pool])
        return flat, keras.Model(inputs, last(base(scale(inputs))))
    if how == "nested head":
        head = keras.Sequential([keras.Input((7, 7, 5)), pool, last])
        return flat, keras.Sequential([keras.Input((SIDE, SIDE, 3)), scale, *parts, head])
    if how == "all in one":
        whole = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts, pool, last])
        return flat, keras.Model(inputs, whole(scale(inputs)))
    logit, sigmoid = layers.Dense(1), layers.Activation("sigmoid")
    apart = keras.Sequential([keras.Input((SIDE, SIDE, 3)), scale, *parts, pool, logit, sigmoid])
    logit.set_weights(last.get_weights())
    return flat, apart


@pytest.mark.parametrize(
    "how",
    ["backbone without pooling", "backbone with pooling", "nested head", "all in one", "sigmoid apart"],
)
def test_arrangement_of_the_layers_changes_no_map(how: str):
    flat, other = nested(how)
    crops, _ = pictures(4, seed=6)
    np.testing.assert_allclose(
        np.stack(explained(other).heat(crops)), np.stack(explained(flat).heat(crops)), atol=1e-5
    )


def test_a_network_without_a_feature_map_is_refused_in_one_line():
    keras = import_keras()
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3))
    outputs = layers.Dense(1, activation="sigmoid")(layers.Flatten()(inputs))
    with pytest.raises(ModelError, match=r"toy: .* leave --explain out"):
        explained(keras.Model(inputs, outputs))
    x = layers.Conv2D(4, 3)(inputs)
    both = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalMaxPooling2D()(inputs)])
    with pytest.raises(ModelError, match=r"other ways lead past .* leave --explain out"):
        explained(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(both)))


@pytest.mark.parametrize("backbone", ["efficientnetb0"])
def test_supported_backbones_give_maps(backbone: str):
    network = build_network(backbone, input_size=96)
    crops = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8)
    (heat,) = GradCam.of(SimpleNamespace(network=network, card=ModelCard("new", backbone, 96))).heat(crops)
    assert heat.shape == (3, 3) and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() in (0, 1)


def test_a_map_names_its_network_and_the_crops_it_wants():
    card = ModelCard("grain", "none", SIDE, margin=1.7)
    cam = GradCam.of(SimpleNamespace(network=small_network("linear", "any"), card=card))
    assert (cam.source, cam.geometry) == (HeatSource(HeatKind.GRAD_CAM, "grain"), Geometry(SIDE, 1.7))
    assert cam.source.method == "Grad-CAM"


def test_only_the_highest_crops_of_each_track_are_explained():
    class Shades:
        source = HeatSource(HeatKind.GRAD_CAM, "shades")
        geometry = Geometry(4, 1.0)

        def heat(self, crops):
            return [np.full((2, 2), crop.mean() / 255, np.float32) for crop in crops]

    def crop(track: int, score: int) -> EvidenceCrop:
        return EvidenceCrop(track, score, 0.0, score / 255, np.full((4, 4, 3), score, np.uint8))

    evidence = [crop(1, 200), crop(1, 100), crop(1, 10), crop(2, 50)]
    shown = with_heat(evidence, Shades(), 2)
    assert [each.heat is not None for each in shown] == [True, True, False, True]
    assert all(each.heat is None or each.heat[0, 0] == pytest.approx(each.fake_probability) for each in shown)
    assert [each.heat_source for each in shown] == [Shades.source, Shades.source, None, Shades.source]
    assert with_heat((), Shades(), 2) == ()


def blended_faces(paths, each: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Half-blended faces as the bundled network sees them, and where they were blended."""
    rng = np.random.default_rng(0)
    crops, masks = [], []
    landmarker = FaceLandmarker()
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        for path in paths:
            picture = read_still(path)
            for detection in detector.detect(picture)[:1]:
                crop = square_crop(picture, detection.box, margin=1.4, size=260)
                landmarks = landmarker.locate(crop)
                assert landmarks is not None
                for _ in range(each):
                    blended, mask = self_blend(crop, landmarks, rng)
                    crops.append(blended)
                    masks.append(grown(mask > 0.1 * mask.max(), 14))  # half a cell
    return np.stack(crops), masks


def check_localisation(crops, masks) -> None:
    """On faces that the network finds forged, heat falls on the blended part, well beyond chance."""
    model = load_model()
    forged = np.flatnonzero(model.score(crops) >= 0.6)
    assert len(forged) >= 4
    maps = GradCam.of(model).heat(crops[forged])
    gains = [share_inside(heat, masks[row]) for heat, row in zip(maps, forged, strict=True)]
    hits = [points_at(heat, masks[row]) for heat, row in zip(maps, forged, strict=True)]
    area = np.mean([masks[row].mean() for row in forged])
    assert np.mean(gains) > 1.5 and min(gains) > 0.8
    assert np.mean(hits) >= 0.8 > 1.5 * area


def test_bundled_network_looks_at_the_blended_part():
    check_localisation(*blended_faces([SAMPLES / "astronaut.jpg"], 6))


@pytest.mark.data
def test_bundled_network_looks_at_the_blended_part_of_many_faces(research_clips: Path):
    portraits = sorted((research_clips.parent / "faces" / "ffhq512").iterdir())[:12]
    check_localisation(*blended_faces(portraits, 2))
