"""Who may import whom. Reads the sources, so that a rule is broken by writing the import, not by its use."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "cv2",
    "ffmpeg",
    "imageio_ffmpeg",
    "keras",
    "mediapipe",
    "onnx",
    "onnxruntime",
    "ray",
    "tensorflow",
    "tf2onnx",
}
STAGES = ("sampling", "faces", "batching", "scoring", "tracks", "verdict", "explain")
"""In the order in which a scan passes them."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> dict[str, ast.Module]:
    """Every module of a package by its dotted name, parsed."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths, f"no modules in {package}"
    return {name_of(path): ast.parse(path.read_text("utf-8"), str(path)) for path in paths}


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a piece of code imports; ``from a import b`` gives both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imported_on_import(tree: ast.Module) -> set[str]:
    """What is loaded as soon as the module is: imports in functions and for type checkers left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_for_types_only(node):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(imported(node))
        waiting.extend(ast.iter_child_nodes(node))
    return found


def top(name: str) -> str:
    return name.partition(".")[0]


def importers(package: str, wanted: str) -> set[str]:
    """The modules of a package that import ``wanted`` or something in it, anywhere."""
    return {
        name
        for name, tree in modules(package).items()
        if any(each == wanted or each.startswith(f"{wanted}.") for each in imported(tree))
    }


def test_reader_sees_imports():
    tree = ast.parse(
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\n"
        "try:\n    import f\nexcept ImportError:\n    pass\ndef g():\n    import h\n"
    )
    assert set(imported(tree)) == {"a.b", "c", "c.d", "e", "f", "h"}
    assert imported_on_import(tree) == {"a.b", "c", "c.d", "f"}


def test_program_does_not_know_its_training():
    assert importers("vidscan", "training") == set()
    assert importers("training", "vidscan") != set()


def test_program_does_not_know_its_tests():
    for package in ("vidscan", "training"):
        for unwanted in ("tests", "pytest", "hypothesis", "skimage"):
            assert importers(package, unwanted) == set()


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("mediapipe", {"vidscan.faces"}),
        # Jobs go from a parent to its workers as pickles; none of a stranger's is ever read.
        (
            "pickle",
            {f"vidscan.engines.{name}" for name in ("isolated", "worker", "ray_engine", "ray_worker")},
        ),
        (
            "vidscan.child_process",
            {
                "vidscan.engines.isolated",
                "vidscan.ffmpeg",
                "vidscan.ffmpeg_encode",
                "vidscan.ffmpeg_output",
                "vidscan.ffmpeg_program",
                "vidscan.ffmpeg_redraw",
                "vidscan.runtimes.conversion",
                "vidscan.scan_command",
            },
        ),
        ("onnxruntime", {"vidscan.runtimes.onnx_runtime", "vidscan.runtimes.quantisation"}),
        ("onnx", {"vidscan.runtimes.exported", "vidscan.runtimes.quantisation"}),
        ("tf2onnx", {"vidscan.runtimes.converter"}),
        ("ffmpeg", {"vidscan.ffmpeg_command", "vidscan.ffmpeg_encode"}),
        ("imageio_ffmpeg", {"vidscan.ffmpeg_program"}),
        ("subprocess", {"vidscan.child_process"}),
        ("ray", {"vidscan.engines.ray_connection"}),
        ("fsspec", {"vidscan.storage"}),
        ("pyarrow", {"vidscan.report.parquet_schema"}),
        ("argparse", {f"vidscan.{name}" for name in ("arguments", "cli", "scan_command", "scan_plan")}),
    ],
)
def test_library_lives_in_one_module(library: str, owners: set[str]):
    assert importers("vidscan", library) <= owners


def test_drawing_is_for_training_and_begins_when_it_is_asked_for():
    assert importers("vidscan", "matplotlib") == set()
    assert importers("training", "matplotlib") == {"training.plots"}
    for name, tree in modules("training").items():
        drawing = {
            each for each in imported_on_import(tree) if top(each) in ("matplotlib", "sklearn", "scipy")
        }
        assert not drawing, name


def test_tf_data_lives_in_batching():
    def uses_tf_data(tree: ast.AST) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and node.attr == "data"
            and isinstance(node.value, ast.Name)
            and node.value.id in ("tf", "tensorflow")
            for node in ast.walk(tree)
        )

    assert {name for name, tree in modules("vidscan").items() if uses_tf_data(tree)} == {"vidscan.batching"}


def test_report_writers_know_records_and_nothing_behind_them():
    for name, tree in modules("vidscan").items():
        if not name.startswith("vidscan.report"):
            continue
        allowed = {"vidscan.records", "vidscan.errors", "vidscan.report"}
        allowed |= {"vidscan.storage"} if name == "vidscan.report.destination" else set()
        for each in imported(tree):
            if top(each) == "vidscan":
                assert any(each == ours or each.startswith(f"{ours}.") for ours in allowed), f"{name}: {each}"
            else:
                own = {"cv2", "jinja2", "markupsafe"} if name.startswith("vidscan.report.html") else set()
                own |= {"pyarrow"} if name == "vidscan.report.parquet_schema" else set()
                assert top(each) in sys.stdlib_module_names | {"numpy", "rich"} | own, f"{name}: {each}"


def test_pages_load_opencv_and_their_templates_when_they_are_written():
    for name, tree in modules("vidscan").items():
        if name.startswith("vidscan.report"):
            assert "cv2" not in {top(each) for each in imported_on_import(tree)}, name
    known = modules("vidscan")
    assert "jinja2" in {top(each) for each in imported(known["vidscan.report.html.page"])}
    assert "jinja2" not in {top(each) for each in imported_on_import(known["vidscan.report.html"])}
    assert "vidscan.report.html.page" not in imported_on_import(known["vidscan.report.html"])


def test_records_and_errors_know_nobody():
    for name, tree in modules("vidscan").items():
        if name == "vidscan.errors":
            assert {top(each) for each in imported(tree)} <= sys.stdlib_module_names
        if name.startswith("vidscan.records"):
            outside = {each for each in imported(tree) if not each.startswith("vidscan.records")}
            assert {top(each) for each in outside} <= sys.stdlib_module_names | {"numpy"}, name


def test_no_stage_knows_another():
    for stage in STAGES:
        if f"vidscan.{stage}" in modules("vidscan"):
            known = set(imported(modules("vidscan")[f"vidscan.{stage}"]))
            assert not known & {f"vidscan.{other}" for other in STAGES if other != stage}, stage


def test_stages_meet_in_the_pipeline_alone():
    """The ledger is the pipeline's reading half: sampling and what watches the frames, source by source."""
    meeting = {
        name: {stage for stage in STAGES if f"vidscan.{stage}" in set(imported(tree))}
        for name, tree in modules("vidscan").items()
    }
    meeting = {name: stages for name, stages in meeting.items() if len(stages) > 1}
    assert meeting.pop("vidscan.ledger") == {"sampling", "faces"}
    assert meeting.pop("vidscan.watching") == {"faces", "tracks"}
    assert set(meeting) == {"vidscan.pipeline"}


def test_frameworks_are_loaded_when_used_and_not_before():
    for name, tree in modules("vidscan").items():
        at_once = {top(each) for each in imported_on_import(tree)}
        assert not at_once & (HEAVY - {"cv2"}), name


def test_help_and_import_vidscan_reach_nothing_heavy():
    """Follows imports from the command line and the package, as far as they are made at once."""
    known = modules("vidscan")
    waiting, reached = ["vidscan", "vidscan.cli"], set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for each in imported_on_import(known[name]):
            assert top(each) not in HEAVY | {"rich", "tqdm"}, f"{name} imports {each}"
            waiting.extend({each, *packages_above(each)} & set(known))
    assert {"vidscan.api", "vidscan.options"} <= reached


def packages_above(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}
