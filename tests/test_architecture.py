"""Who may import whom. Reads the sources, so that a rule is broken by writing the import, not by its use."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"vidscan": ROOT / "vidscan", "vidscan_training": ROOT / "training" / "vidscan_training"}
HEAVY = {
    "c2pa",
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
GROUND = 0
RANKS = {
    "vidscan": [
        *("system", "media", "provenance", "faces", "tracking", "models", "verdict", "report"),
        *("render", "scan", "engines", "results", "api", "serve", "cli"),
    ],
    "vidscan_training": ["crops", "data", "evaluation", "fitting", "recipes", "cli"],
}
"""The rooms from the ground up: a room imports only those before it, and the ground."""
ENDS = ("isolated.parent", "isolated.worker", "ray.driver", "ray.worker")
SERVING = ("access", "bodies", "folder", "routes", "server", "service", "uploads")
PURE = {"verdict": set[str](), "tracking": {"vidscan.faces.boxes", "vidscan.faces.crops"}}
"""Rooms that import nothing but the ground and these."""
MAX_MODULES = 16
MAX_AT_THE_ROOT = 10


def name_of(path: Path, package: str) -> str:
    parts = path.relative_to(PACKAGES[package].parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> dict[str, ast.Module]:
    """Every module of a package by its dotted name, parsed."""
    paths = sorted(PACKAGES[package].rglob("*.py"))
    assert paths, f"no modules in {package}"
    return {name_of(path, package): ast.parse(path.read_text("utf-8"), str(path)) for path in paths}


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


def own_imports(package: str, name: str) -> set[str]:
    """The modules of its own package that a module imports, anywhere; names in them count as the module."""
    known = modules(package)
    found = {each for each in imported(known[name]) if each in known}
    for node in ast.walk(known[name]):
        if isinstance(node, ast.ImportFrom) and all(
            f"{node.module}.{each.name}" in known for each in node.names
        ):
            found.discard(str(node.module))  # the way to a module, not the package's own code
    return found - {name, package}


def room(name: str) -> str:
    """The room of a module: the folder or, at the root, the module itself."""
    return name.split(".")[1] if "." in name else ""


def rank(package: str, name: str) -> int:
    """The rank of a module's room; what stands in no room is the ground."""
    rooms = RANKS[package]
    return rooms.index(room(name)) + 1 if room(name) in rooms else GROUND


def test_reader_sees_imports():
    tree = ast.parse(
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\n"
        "try:\n    import f\nexcept ImportError:\n    pass\ndef g():\n    import h\n"
    )
    assert set(imported(tree)) == {"a.b", "c", "c.d", "e", "f", "h"}
    assert imported_on_import(tree) == {"a.b", "c", "c.d", "f"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_arrow_runs_up(package: str):
    """Imports for types and imports in functions count as well."""
    roof = {package, f"{package}.__main__"}
    up = [
        f"{name} -> {each}"
        for name in modules(package)
        if name not in roof
        for each in own_imports(package, name)
        if rank(package, each) > rank(package, name)
    ]
    assert not up


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_itself_by_way_of_others(package: str):
    arrows = {name: own_imports(package, name) for name in modules(package)}
    arrows.pop(package)
    while free := [name for name, known in arrows.items() if not known & arrows.keys()]:
        for name in free:
            arrows.pop(name)
    assert not arrows


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_is_a_room_and_none_is_crowded(package: str):
    folder = PACKAGES[package]
    rooms = {path.parent.relative_to(folder).parts[:1] for path in folder.rglob("*.py")} - {()}
    assert {name for (name,) in rooms} <= {*RANKS[package], "records"}
    for path in {path.parent for path in folder.rglob("*.py")}:
        assert len(list(path.glob("*.py"))) <= MAX_MODULES, path
    assert len(list(folder.glob("*.py"))) <= MAX_AT_THE_ROOT


def test_pure_rooms_know_the_ground_alone():
    for name in modules("vidscan"):
        if room(name) in PURE:
            foreign = {
                each
                for each in own_imports("vidscan", name)
                if rank("vidscan", each) and room(each) != room(name)
            }
            assert foreign <= PURE[room(name)] | {"vidscan.faces"}, name


def test_program_does_not_know_its_training():
    assert importers("vidscan", "vidscan_training") == set()
    assert importers("vidscan_training", "vidscan") != set()


def test_program_does_not_know_its_tests():
    for package in PACKAGES:
        for unwanted in ("tests", "pytest", "hypothesis", "skimage"):
            assert importers(package, unwanted) == set()


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("mediapipe", {"vidscan.faces.detector"}),
        # Jobs go from a parent to its workers as pickles; none of a worker's is ever read.
        (
            "pickle",
            {f"vidscan.engines.{name}" for name in ENDS},
        ),
        ("onnxruntime", {"vidscan.models.runtimes.onnx", "vidscan.models.runtimes.quantisation"}),
        ("onnx", {"vidscan.models.runtimes.exported", "vidscan.models.runtimes.quantisation"}),
        ("tf2onnx", {"vidscan.models.runtimes.converter"}),
        ("ffmpeg", {"vidscan.media.ffmpeg.command"}),
        ("imageio_ffmpeg", {"vidscan.media.ffmpeg.program"}),
        ("subprocess", {"vidscan.system.processes"}),
        ("ray", {"vidscan.engines.ray.connection"}),
        ("PIL", {"vidscan.media.stills.animation", "vidscan.media.stills.decoders"}),
        ("pillow_heif", {"vidscan.media.stills.decoders"}),
        ("fsspec", {"vidscan.media.storage"}),
        ("c2pa", {"vidscan.provenance.credentials_worker"}),
        ("sqlite3", {f"vidscan.results.{name}" for name in ("database", "rows", "tables")}),
        ("starlette", {f"vidscan.serve.{name}" for name in SERVING}),
        ("uvicorn", {"vidscan.serve.server"}),
        ("python_multipart", {"vidscan.serve.uploads"}),
        ("msgspec", {"vidscan.system.typed_json"}),
        ("pyarrow", {"vidscan.report.parquet.schema", "vidscan.system.frameworks"}),
        ("argparse", {f"vidscan.cli.{name}" for name in ("arguments", "main", "scan", "plan")}),
    ],
)
def test_library_lives_in_one_module(library: str, owners: set[str]):
    assert importers("vidscan", library) <= owners


def test_processes_are_started_by_those_who_must():
    owners = {"engines.isolated.parent", "models.runtimes.conversion", "provenance.credentials", "cli.scan"}
    owners |= {f"media.ffmpeg.{name}" for name in ("decode", "output", "program", "redraw", "still")}
    assert importers("vidscan", "vidscan.system.processes") <= {f"vidscan.{name}" for name in owners}


def test_training_imports_its_libraries_when_it_uses_them():
    for name, tree in modules("vidscan_training").items():
        assert not {each for each in imported_on_import(tree) if top(each) in ("sklearn", "scipy")}, name


def test_tf_data_lives_in_batches():
    def uses_tf_data(tree: ast.AST) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and node.attr == "data"
            and isinstance(node.value, ast.Name)
            and node.value.id in ("tf", "tensorflow")
            for node in ast.walk(tree)
        )

    assert {name for name, tree in modules("vidscan").items() if uses_tf_data(tree)} == {
        "vidscan.scan.batches"
    }


def test_report_writers_know_the_ground_and_storage():
    for name, tree in modules("vidscan").items():
        if room(name) != "report":
            continue
        foreign = {
            each
            for each in own_imports("vidscan", name)
            if rank("vidscan", each) and room(each) not in ("report", "system")
        }
        assert foreign <= {"vidscan.media", "vidscan.media.storage"}, name
        laid_out = name.startswith(("vidscan.report.content.", "vidscan.report.html."))
        own = {"cv2", "jinja2", "markupsafe"} if laid_out else set()
        own |= {"fpdf"} if name.startswith("vidscan.report.pdf.") else set()
        own |= {"pyarrow"} if name == "vidscan.report.parquet.schema" else set()
        outside = {top(each) for each in imported(tree)} - {"vidscan"}
        assert outside <= sys.stdlib_module_names | {"numpy", "rich"} | own, name


def test_pages_and_case_files_load_their_libraries_when_they_are_written():
    for name, tree in modules("vidscan").items():
        if room(name) == "report":
            assert "cv2" not in {top(each) for each in imported_on_import(tree)}, name
    known = modules("vidscan")
    assert "jinja2" in {top(each) for each in imported(known["vidscan.report.html.page"])}
    assert "jinja2" not in {top(each) for each in imported_on_import(known["vidscan.report.html"])}
    assert "vidscan.report.html.page" not in imported_on_import(known["vidscan.report.html"])
    assert "vidscan.report.pdf.case_file" in imported(known["vidscan.report.pdf"])
    assert not {each for each in imported_on_import(known["vidscan.report.pdf"]) if ".pdf." in each}


def test_the_ground_needs_numpy_alone():
    for name, tree in modules("vidscan").items():
        if rank("vidscan", name) == GROUND and name not in ("vidscan", "vidscan.__main__"):
            outside = {top(each) for each in imported(tree)} - {"vidscan"}
            assert outside <= sys.stdlib_module_names | {"numpy"}, name


def test_frameworks_are_loaded_when_used_and_not_before():
    for name, tree in modules("vidscan").items():
        at_once = {top(each) for each in imported_on_import(tree)}
        assert not at_once & (HEAVY - {"cv2"}), name


def test_help_and_import_vidscan_reach_nothing_heavy():
    """Follows imports from the command line and the package, as far as they are made at once."""
    known = modules("vidscan")
    waiting, reached = ["vidscan", "vidscan.cli.main"], set()
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
