from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_tower import computed, made_crops, made_weights

from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan_training.recipes.vit.probe import head_of
from vidscan_training.recipes.vit.tower.graph import (
    IR_VERSION,
    OPSET,
    Graph,
    Head,
    detector_model,
    features_model,
    quantise,
)
from vidscan_training.recipes.vit.tower.port import WIDTH
from vidscan_training.recipes.vit.tower.smoothing import activation_maxima, smoothed

pytestmark = pytest.mark.slow


def logit(probability: np.ndarray) -> np.ndarray:
    probability = probability.astype(np.float64)
    return np.log(probability) - np.log1p(-probability)


def linear_model(precision, kernel, bias) -> bytes:
    """An ONNX file from ``rows`` to ``rows @ kernel + bias``."""
    from onnx import TensorProto, helper

    graph = Graph(precision)
    name = graph.linear("rows", kernel, bias)
    inputs = [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", len(kernel)])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", kernel.shape[1]])]
    whole = helper.make_graph(graph.nodes, "linear", inputs, outputs, initializer=graph.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


@settings(deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-50, 50, width=32))
)
def test_quantised_kernel_is_off_by_half_a_step_at_most(kernel):
    quantised, scale = quantise(kernel)
    assert quantised.dtype == np.int8
    error = np.abs(quantised * scale.astype(np.float64) - kernel)
    assert np.all(error <= scale / 2 * (1 + 1e-5))
    assert np.abs(quantised.astype(int)).max() <= 127


def test_column_of_zeros_stays_one():
    kernel = np.array([[1.0, 0.0, -3.0], [2.0, 0.0, 0.5]], np.float32)
    quantised, scale = quantise(kernel)
    assert np.all(np.isfinite(scale))
    assert np.all(scale > 0)
    np.testing.assert_array_equal(quantised[:, 1], 0)
    np.testing.assert_array_equal(np.abs(quantised).max(axis=0), [127, 0, 127])


@pytest.fixture(scope="module")
def product():
    """Rows, some of them much larger than others and one of zeros, a kernel and a bias."""
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(24, WIDTH)) * np.geomspace(1e-3, 1e3, 24)[:, None]
    rows[7] = 0.0
    kernel = generator.normal(0.0, 0.05, (WIDTH, 96)).astype(np.float32)
    return rows.astype(np.float32), kernel, generator.normal(size=96).astype(np.float32)


def test_8_bit_product_is_near_to_that_in_float32(product):
    rows, kernel, _ = product
    (exact,) = computed(linear_model("float32", kernel, None), rows=rows)
    np.testing.assert_allclose(exact, rows @ kernel, rtol=1e-3, atol=1e-3)
    (found,) = computed(linear_model("int8", kernel, None), rows=rows)
    lengths = np.linalg.norm(exact, axis=1)
    errors = np.linalg.norm(found - exact, axis=1)
    assert np.all(errors[lengths > 0] / lengths[lengths > 0] < 0.02)


def test_row_of_zeros_gives_the_bias(product):
    rows, kernel, bias = product
    for precision in ("float32", "int8"):
        (found,) = computed(linear_model(precision, kernel, bias), rows=rows)
        np.testing.assert_array_equal(found[7], bias)


def test_8_bit_product_of_a_row_does_not_depend_on_the_others(product):
    rows, kernel, bias = product
    content = linear_model("int8", kernel, bias)
    (together,) = computed(content, rows=rows)
    for place in range(len(rows)):
        (alone,) = computed(content, rows=rows[place : place + 1])
        np.testing.assert_array_equal(alone[0], together[place])


def test_smoothing_changes_nothing_in_float32_and_helps_8_bits():
    weights, crops = made_weights(1), made_crops(3)
    even = smoothed(weights, activation_maxima(weights, list(crops), 1))
    assert not np.array_equal(even["block1/mlp1/kernel"], weights["block1/mlp1/kernel"])
    (exact,) = computed(features_model(weights, [1], "float32"), crops=crops)
    (same,) = computed(features_model(even, [1], "float32"), crops=crops)
    np.testing.assert_allclose(same, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).mean())
    (rough,) = computed(features_model(weights, [1], "int8"), crops=crops)
    (better,) = computed(features_model(even, [1], "int8"), crops=crops)
    assert np.linalg.norm(better - exact) < 0.7 * np.linalg.norm(rough - exact)


def made_head(taps: tuple[int, ...], *, class_token: bool) -> Head:
    kernel = np.random.default_rng(9).normal(0.0, 0.01, (len(taps), 2, WIDTH)).astype(np.float32)
    if not class_token:
        kernel[:, 0] = 0.0
    return Head(taps, kernel, -0.75)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_shares_and_bias_add_up_to_the_logit(precision):
    content = detector_model(made_weights(1), made_head((1,), class_token=False), precision)
    fake, shares = computed(content, crops=made_crops(4))
    assert fake.shape == (4, 1)
    assert shares.shape == (4, 14, 14)
    assert np.ptp(logit(fake)) > 1e-3
    np.testing.assert_allclose(shares.sum(axis=(1, 2), dtype=np.float64) - 0.75, logit(fake)[:, 0], atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_detector_is_the_head_over_the_features(precision):
    weights, taps, crops = made_weights(2), (1, 2), made_crops(3)
    head = made_head(taps, class_token=True)
    flat = head_of(head.kernel.reshape(-1), head.bias, taps)
    fake, shares = computed(detector_model(weights, flat, precision), crops=crops)
    (features,) = computed(features_model(weights, taps, precision), crops=crops)
    np.testing.assert_allclose(logit(fake)[:, 0], features @ head.kernel.reshape(-1) + head.bias, atol=1e-3)
    own = features.reshape(3, 2, 2, WIDTH)[:, :, 0]
    of_class = np.einsum("ntw,tw->n", own, head.kernel[:, 0])
    np.testing.assert_allclose(shares.sum(axis=(1, 2)) + of_class + head.bias, logit(fake)[:, 0], atol=1e-3)


def test_the_share_of_a_patch_lies_where_the_patch_does():
    """Of a tower whose block adds nothing, a patch's token depends on this patch alone."""
    weights = dict(made_weights(1))
    for part in ("out", "mlp2"):
        for piece in ("kernel", "bias"):
            weights[f"block1/{part}/{piece}"] = np.zeros_like(weights[f"block1/{part}/{piece}"])
    crops = np.repeat(made_crops(1), 2, axis=0)
    crops[1, 3 * 16 : 4 * 16, 10 * 16 : 11 * 16] ^= 255
    _, shares = computed(detector_model(weights, made_head((1,), class_token=True), "float32"), crops=crops)
    assert np.argwhere(shares[0] != shares[1]).tolist() == [[3, 10]]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_crop_scores_the_same_alone_and_among_others(precision):
    content = detector_model(made_weights(1), made_head((1,), class_token=True), precision)
    crops = made_crops(5)
    runtime = OnnxRuntime(content)
    assert runtime.gives_shares
    together, shares = runtime.outputs(crops), runtime.shares(crops)
    for place in range(len(crops)):
        np.testing.assert_array_equal(runtime.outputs(crops[place : place + 1])[0], together[place])
        np.testing.assert_array_equal(runtime.shares(crops[place : place + 1])[0], shares[place])


def test_8_bit_score_of_a_crop_does_not_depend_on_its_batch():
    """Here the whole batch is one call to onnxruntime, which a scan does not make."""
    content = detector_model(made_weights(1), made_head((1,), class_token=True), "int8")
    crops = made_crops(4)
    together = computed(content, crops=crops)
    for place in range(len(crops)):
        alone = computed(content, crops=crops[place : place + 1])
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[place])


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_mouths_logit_is_added_to_the_faces(precision):
    weights, faces, mouths = made_weights(2), made_crops(3), made_crops(7)[4:]
    head, mouth = made_head((1,), class_token=True), Head((2,), made_head((2,), class_token=True).kernel, 0.5)
    runtime = OnnxRuntime(detector_model(weights, head, precision, mouth))
    assert runtime.takes_mouths
    alone = logit(OnnxRuntime(detector_model(weights, head, precision)).outputs(faces))
    np.testing.assert_allclose(logit(runtime.outputs(faces)), alone, atol=1e-3)
    (features,) = computed(features_model(weights, (2,), precision), crops=mouths)
    added = features @ mouth.kernel.reshape(-1) + mouth.bias
    assert np.ptp(added) > 1e-3
    np.testing.assert_allclose(logit(runtime.outputs(faces, mouths)), alone + added[:, None], atol=2e-3)
    shares = OnnxRuntime(detector_model(weights, head, precision)).shares(faces)
    np.testing.assert_array_equal(runtime.shares(faces), shares)
