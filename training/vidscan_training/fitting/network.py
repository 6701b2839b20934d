"""Makes a network ready to be trained: which layers learn, in which precision, by which optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.system.frameworks import import_keras

PHASES = ("head", "last", "full")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

CLIP_NORM = 1.0
"""Upper limit on the norm of all gradients together."""

PEAK_RATES = {"head": 1e-3, "last": 1e-4, "full": 4e-4}
"""Learning rates that a phase starts from (head, last) or rises to (full) unless told otherwise."""


def choose_trainable(network: Any, phase: str, unfreeze: int = 20) -> None:
    """Freezes what a phase does not train.

    ``head``: all below the pooling is frozen. ``last``: the last ``unfreeze`` layers below it learn
    too, but not their batch normalisation, whose statistics a small set would spoil. ``full``: all.
    """
    base, _ = _base_and_head(network)
    for layer in network.layers:
        layer.trainable = True
    if phase == "full":
        return
    first = len(base) - unfreeze if phase == "last" else len(base)
    for place, layer in enumerate(base):
        normalisation = type(layer).__name__ == "BatchNormalization"
        layer.trainable = place >= first and not normalisation


def set_normalisation_momentum(network: Any, momentum: float) -> None:
    """Sets how slowly batch normalisation's statistics follow the batches.

    The customary 0.99 is for trainings of many thousand steps. Fine-tuning may have a few hundred, and
    then a third of the statistics that inference uses would still be those of the first weights.
    """
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = momentum


MAP_LAYER = "forgery_map"


def with_map_head(network: Any, dropout: float = 0.2) -> Any:
    """A network with a second output that says where a crop was forged; layers are shared.

    A region head has such cells already; then the map is theirs.

    The map, ``float32[n, cells * cells]`` row by row, 0-1, is read off the features that the score
    averages, so that they have to say which part of the face is false, which cannot be memorised
    from whose face it is. After Lingzhi Li et al., "Face X-ray", CVPR 2020; for training alone: a
    checkpoint has the score only.
    """
    keras = import_keras()
    cells = _cell_logits(network, dropout)
    forged = keras.layers.Activation("sigmoid", dtype="float32", name=f"{MAP_LAYER}_cells")(cells)
    listed = keras.layers.Flatten(dtype="float32", name=MAP_LAYER)(forged)
    return keras.Model(network.input, [network.output, listed], name=network.name)


def _cell_logits(network: Any, dropout: float) -> Any:
    from vidscan_training.fitting.build import CELL_LAYER

    if any(layer.name == CELL_LAYER for layer in network.layers):
        return network.get_layer(CELL_LAYER).output
    layers = import_keras().layers
    _, head = _base_and_head(network)
    dropped = layers.Dropout(dropout, name=f"{MAP_LAYER}_dropout")(head[0].input)
    return layers.Conv2D(1, 1, name=f"{MAP_LAYER}_logits")(dropped)


def has_map_head(network: Any) -> bool:
    """Whether ``network`` came from :func:`with_map_head`."""
    return any(layer.name == MAP_LAYER for layer in network.layers)


def map_cells(network: Any) -> int:
    """Cells on a side of a network's forgery map; 0 without one."""
    return int(network.get_layer(MAP_LAYER).input.shape[1]) if has_map_head(network) else 0


def scoring_part(network: Any) -> Any:
    """The network without its forgery map; layers and weights are shared."""
    if not has_map_head(network):
        return network
    return import_keras().Model(network.input, network.outputs[0], name=network.name)


def feature_part(network: Any) -> Any:
    """The frozen part: crops ``[n, s, s, 3]``, 0-255, to what the head is given.

    That is ``[n, channels]`` behind a global pooling, and ``[n, cells, cells, channels]`` before a region
    head. Layers and weights are shared.
    """
    return import_keras().Model(network.input, _features(network), name="features")


def head_part(network: Any) -> Any:
    """What learns in the ``head`` phase, as a network of its own: features to P(real), ``float32[n, 1]``.

    Layers and weights are shared, so training it trains the head of ``network``. Raises UsageError
    where the head begins is unknown, or something leads past that.
    """
    try:
        return import_keras().Model(_features(network), network.output, name=network.name)
    except ValueError as error:
        raise UsageError(f"the head of {network.name} needs more than the features before it") from error


def _features(network: Any) -> Any:
    first = _base_and_head(network)[1][0]
    return first.output if type(first).__name__ == "GlobalAveragePooling2D" else first.input


def compile_like(part: Any, network: Any) -> None:
    """Compiles a part of ``network`` with its very optimiser and loss, which :func:`compile_network` chose.

    The optimiser's state then belongs to both, and is saved with ``network``.
    """
    part.compile(optimizer=network.optimizer, loss=network.loss, jit_compile=network.jit_compile)


def _base_and_head(network: Any) -> tuple[list[Any], list[Any]]:
    """Layers before the head, and from it on: after the last features, or from the last global pooling."""
    from vidscan.models.gradcam import FEATURE_LAYER

    for place, layer in reversed(list(enumerate(network.layers))):
        if layer.name == FEATURE_LAYER:
            return network.layers[: place + 1], network.layers[place + 1 :]
        if type(layer).__name__ == "GlobalAveragePooling2D":
            return network.layers[:place], network.layers[place:]
    raise UsageError(f"{network.name} has no global average pooling: where its head begins is unknown")


def with_precision(network: Any, precision: str) -> Any:
    """A copy of ``network``, weights included, that computes in ``precision``; its output stays float32."""
    keras = import_keras()
    outputs = set(network.output_names)

    def rebuilt(layer: Any) -> Any:
        config = layer.get_config()
        config["dtype"] = "float32" if layer.name in outputs else precision
        return type(layer).from_config(config)

    copy = keras.models.clone_model(network, clone_function=rebuilt)
    copy.set_weights(network.get_weights())
    for ours, theirs in zip(copy.layers, network.layers, strict=True):
        ours.trainable = theirs.trainable
    return copy


def compile_network(
    network: Any,
    phase: str,
    *,
    weight_decay: float = 0.02,
    label_smoothing: float = 0.0,
    map_loss: float = 0.0,
) -> None:
    """Compiles for a phase; ``map_loss`` weighs the cross-entropy of the forgery map, if there is one.

    ``head`` and ``last``: Adam and the focal loss (gamma 2; T.-Y. Lin et al., 2017) of the reference
    recipe. ``full``: AdamW and plain cross-entropy; no decay on biases and normalisation, which it
    would only shrink. Float16 gets loss scaling.
    """
    keras = import_keras()
    rate = PEAK_RATES[phase]
    if phase == "full":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay, global_clipnorm=CLIP_NORM)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        loss = keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    else:
        optimizer = keras.optimizers.Adam(rate, global_clipnorm=CLIP_NORM)
        loss = keras.losses.BinaryFocalCrossentropy(gamma=2.0, label_smoothing=label_smoothing)
    # Keras looks at the model's own policy, which says nothing about layers that were given theirs.
    if any(layer.compute_dtype == "float16" for layer in network.layers):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # XLA on a CPU under TensorFlow takes many times as long; JAX has nothing else.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    losses: dict[str, Any] = {"loss": loss}
    if has_map_head(network):
        losses = {"loss": [loss, keras.losses.BinaryCrossentropy()], "loss_weights": [1.0, map_loss]}
    network.compile(optimizer=optimizer, jit_compile=jit, **losses)


def restore_optimizer(network: Any, values: list[npt.NDArray[Any]]) -> None:
    """Puts saved ``optimizer.variables`` back, after :func:`compile_network` made a new optimiser.

    The optimiser that Keras itself reads back has forgotten which variables do not decay.
    """
    network.optimizer.build(network.trainable_variables)
    for variable, value in zip(network.optimizer.variables, values, strict=True):
        variable.assign(value)


def seed_dropout(network: Any, seed: int, epoch: int) -> None:
    """Sets every layer's random state from ``seed`` and ``epoch``: Keras does not save it."""
    for place, layer in enumerate(network.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.default_rng([seed, epoch, place]).integers(0, 2**31 - 1, 2)
            generator.state.assign(state.astype(np.uint32))
