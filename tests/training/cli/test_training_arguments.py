from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from made_crops import make_crop_folder
from tiny_network import save_tiny

from vidscan.errors import UsageError
from vidscan.flags import add_flags, values_of
from vidscan.models.card_file import read_card
from vidscan.system.frameworks import import_keras
from vidscan_training.cli.main import build_parser, fit_options, main
from vidscan_training.crops.extract import CropOptions
from vidscan_training.data.draw import resolutions
from vidscan_training.evaluation.calibrate import CalibrateOptions
from vidscan_training.evaluation.evaluate import EvaluateOptions
from vidscan_training.fitting.options import FitOptions
from vidscan_training.named_values import method_weights


def asked_of_fit(*flags):
    return fit_options(build_parser().parse_args(["fit", *flags]))


def test_fit_without_flags_has_the_defaults_of_the_options():
    found = asked_of_fit("crops", "--out", "run")
    expected = FitOptions(crops=Path("crops"), output=Path("run"))
    differing = [
        name for name in FitOptions.__dataclass_fields__ if getattr(found, name) != getattr(expected, name)
    ]
    assert differing == []
    assert found.sampling.batch_size == 32, "as in the reference recipe"


@pytest.mark.parametrize("options", [FitOptions, CropOptions, EvaluateOptions, CalibrateOptions])
def test_flags_have_the_defaults_of_the_fields(options):
    given = {name: "x" for name in ("crops", "checkpoint") if name in options.__dataclass_fields__}
    out = ["--out", "x"] if options is FitOptions else []
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    add_flags(parser, options)
    found = options(**values_of(options, vars(parser.parse_args([*given.values(), *out]))))
    assert found == options(**{name: Path("x") for name in [*given, *(["output"] if out else [])]})


def test_fit_flags_reach_the_options():
    text = (
        "crops --out run --name n --backbone lite2 --head linear --phase full --images 900 --seed 4 "
        "--method-weights deepfakes=1,stylegan256=0.7 --match-resolution a=b,c=180-256 --resume "
        "--whole-face stylegan256,diffusion "
        "--self-blend 0.3 --val-share 0.3 --precision mixed_bfloat16 --teacher t.keras --teacher-weight 0.3"
    )
    found = asked_of_fit(*text.split())
    assert (found.backbone, found.head, found.phase) == ("lite2", "linear", "full")
    assert (found.images, found.resume) == (900, True)
    assert found.sampling.method_weights == {"deepfakes": 1.0, "stylegan256": 0.7}
    assert found.sampling.match_resolution == {"a": "b", "c": (180.0, 256.0)}
    assert found.sampling.whole_face == ("stylegan256", "diffusion")
    assert found.sampling.self_blend == 0.3
    assert (found.split.val, found.split.seed) == (0.3, 4)
    assert (found.teacher, found.teacher_weight) == (Path("t.keras"), 0.3)


@pytest.mark.slow
def test_imagenet_weights_without_a_network_are_one_line_that_names_the_way_out(
    tmp_path, monkeypatch, capsys
):
    def unreachable(*args, **kwargs):
        raise OSError("URL fetch failure on somewhere: None -- unreachable\nand more")

    import_keras()
    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", unreachable)
    crops = make_crop_folder(tmp_path / "crops")
    flags = ["fit", str(crops), "--out", str(tmp_path / "run"), "--backbone"]
    assert main([*flags, "efficientnetb0", "--weights", "imagenet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unreachable" in line
    assert "--weights PATH" in line
    assert main([*flags, "lite2", "--weights", "imagenet"]) == 2
    assert "python -m vidscan_training.recipes.port_lite2" in capsys.readouterr().err
    assert main([*flags, "efficientnetb0", "--weights", str(tmp_path / "none.h5")]) == 2
    assert "no such weights file" in capsys.readouterr().err
    assert main([*flags, "resnet50", "--weights", "none"]) == 2
    assert "choose one of efficientnetb0" in capsys.readouterr().err


@pytest.mark.slow
def test_any_efficientnet_of_keras_can_be_trained(tmp_path):
    """A V2 has other layers than the first generation; both end where the head begins."""
    crops = make_crop_folder(tmp_path / "crops")
    flags = "--backbone efficientnetv2b0 --weights none --augment none --images 2 --batch-size 2"
    assert main(["fit", str(crops), "--out", str(tmp_path / "run"), *flags.split()]) == 0
    assert read_card(tmp_path / "run" / "detector.json").backbone == "efficientnetv2b0"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (method_weights, "deepfakes"),
        (method_weights, "deepfakes=much"),
        (resolutions, "a=256-180"),
        (resolutions, "=256"),
    ],
)
def test_malformed_pairs_are_refused(parse, text):
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.slow
def test_calibrate_then_evaluate_from_the_command_line(tmp_path, capsys):
    crops = make_crop_folder(tmp_path / "crops", groups=9)
    checkpoint = save_tiny(tmp_path / "tiny.keras")
    from vidscan_training.crops.folder import read_manifest, write_manifest
    from vidscan_training.crops.split import assign_splits

    write_manifest(crops / "manifest.csv", assign_splits(read_manifest(crops / "manifest.csv")))
    assert main(["calibrate", str(checkpoint), str(crops), "--misses", "0.1"]) == 0
    assert "FAKE at or above" in capsys.readouterr().out
    assert main(["evaluate", str(checkpoint), str(crops), "--report", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"
    flags = ["--against", "stylegan256=ffhq256+ffhq512"]
    assert main(["evaluate", str(checkpoint), str(crops), *flags]) == 0
    assert "ffhq256+ffhq512" in capsys.readouterr().out


def test_degradations_are_chosen_among_those_of_robustness(tmp_path, capsys):
    flags = ["evaluate", str(tmp_path), str(tmp_path)]
    assert main([*flags, "--degradations", "blur"]) == 2
    assert "give that too" in capsys.readouterr().err
    assert main([*flags, "--robustness", "--degradations", "fog"]) == 2
    assert "--degradations fog: not among jpeg, h264" in capsys.readouterr().err
