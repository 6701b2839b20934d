"""What the commands are asked to do: one frozen dataclass per command, checked when it is made.

As in :mod:`vidscan.options`, a field says which flag sets it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from vidscan.errors import UsageError, quoted
from vidscan.flags import flag, require_amount
from vidscan.media.storage import is_remote, local_path
from vidscan.options import RayOptions, ScanOptions

ENDING = ".vidscan"
"""Of the names of stores."""


def _store(text: str) -> Path | None:
    if is_remote(text):
        raise UsageError(f"--store {quoted(text)}: a store lies on this machine's disk: name a file")
    return local_path(text)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What ``vidscan run``, ``dir`` and ``image`` are asked to do.

    ``places``: the clips or stills, or the one folder. ``ray`` is None where the scan stays on this machine.
    """

    command: str
    places: tuple[Path | str, ...]
    options: ScanOptions = field(default_factory=ScanOptions)
    ray: RayOptions | None = None
    from_list: str | None = flag(
        None, "instead of a folder, the paths and URLs in a text, CSV or Parquet file", "FILE"
    )
    recursive: bool = flag(False, "look into subfolders too")
    store: Path | None = flag(
        None,
        "keep the results, with faces, in this file, for reports and marks later",
        f"NAME{ENDING}",
        read=_store,
    )
    pictures: bool = flag(True, "keep no faces in the --store", name="no-pictures")
    resume: bool = flag(
        False, "go on with an interrupted scan, by its --store or what lies beside its --report"
    )
    retry_failed: bool = flag(False, "with --resume, take up again what failed before")
    reports: tuple[str, ...] = flag(
        (),
        "write the report to OUT.html, OUT.json, OUT.jsonl, OUT.csv or OUT.parquet, a path or a URL; - for "
        "JSON on stdout; given several times, to each",
        "OUT",
        name="report",
    )
    fail_on: tuple[str, ...] = flag(
        (),
        "exit with 3 when something is FAKE, or a file declares AI; may be given twice",
        choices=("fake", "declared-ai"),
    )
    explain_dir: Path | None = flag(None, "write those heat maps into DIR as PNG files", "DIR")
    annotate: Path | None = flag(
        None, "write the clip with boxes and scores to OUT.mp4 (several clips: into the folder OUT)", "OUT"
    )
    isolate: bool = flag(
        False, "work in a process of its own: a crash or a hang over one file costs that file alone"
    )
    quiet: bool = flag(False, "print errors only", short="q", rivals="loudness")
    verbose: bool = flag(False, "print timings, and tracebacks of errors", short="v", rivals="loudness")

    def __post_init__(self) -> None:
        """Refuses flags that contradict each other."""
        if self.command == "dir" and bool(self.places) == (self.from_list is not None):
            raise UsageError("name either a folder or a list with --from-list")
        if self.isolate and self.ray is not None:
            raise UsageError("--isolate goes with --engine local: on a cluster, a worker may die anyway")
        if self.dataset is not None and self.command != "dir":
            raise UsageError(
                "a Parquet report is for folders and lists: use vidscan dir, or --report OUT.json"
            )
        if self.dataset is not None and self.annotate is not None:
            raise UsageError(
                "--annotate does not go with a Parquet report: annotate single clips with vidscan run"
            )
        if self.dataset is not None and len(self.reports) > 1:
            raise UsageError("a Parquet report goes alone: write the others in another scan")
        if self.options.evidence.explained and not (self.explain_dir or self.keeps_pictures):
            raise UsageError(
                "--explain draws heat maps into a page: add --report OUT.html, or --explain-dir DIR for "
                "PNG files"
            )
        self._check_store()
        if self.retry_failed and not self.resume:
            raise UsageError("--retry-failed goes with --resume: add it, or leave both out to start anew")

    def _check_store(self) -> None:
        if self.store is not None and self.store.suffix != ENDING:
            raise UsageError(f"--store {str(self.store)!r}: the name must end in {ENDING}")
        if self.store is not None and self.dataset is not None:
            raise UsageError("--store does not go with a Parquet report, which keeps the results: name one")
        if self.store is None and not self.pictures:
            raise UsageError("--no-pictures is about a --store: name that too, or leave it out")
        if not self.pictures and has_page(self.reports):
            raise UsageError("--no-pictures leaves an HTML report without faces: leave one of the two out")
        if self.resume and self.store is None and (self.command != "dir" or set(self.reports) <= {"-"}):
            raise UsageError(
                "--resume needs the --report FILE of a folder's scan that was broken off, or its --store: "
                "name it too"
            )

    @property
    def keeps_pictures(self) -> bool:
        """Whether faces are kept after the scan, in a page or in a store."""
        return has_page(self.reports) or (self.store is not None and self.pictures)

    @property
    def dataset(self) -> str | None:
        """Where a Parquet dataset shall lie, if the report is to be one."""
        found = (each for each in self.reports if each.rstrip("/").lower().endswith(".parquet"))
        return next(found, None)

    @property
    def one_clip(self) -> bool:
        """Whether a single clip is named; what is written beside the report of others goes into folders."""
        return self.command == "run" and len(self.places) == 1


def has_page(reports: Iterable[str]) -> bool:
    """Tells whether one of the reports is an HTML page, which shows faces."""
    return any(each.lower().endswith(".html") for each in reports)


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What ``vidscan doctor`` is asked to do."""

    model: Path | None = flag(None, "check this checkpoint (default: those that ship)", "NAME|PATH")


EXPORT_FORMATS = ("onnx", "onnx-int8")
"""What ``vidscan export`` can write."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What ``vidscan export`` is asked to do: write ``checkpoint`` as ``out``.

    ``calibrate`` may hold crops made by ``vidscan-train crops``; None takes the samples of a repository.
    """

    format: str
    out: Path
    checkpoint: Path | None = None
    calibrate: Path | None = flag(
        None,
        "int8 takes its ranges from the faces in these clips, stills or crops (default: the samples)",
        "FOLDER",
    )

    def __post_init__(self) -> None:
        """Refuses what cannot work, before anything is loaded."""
        if self.format not in EXPORT_FORMATS:
            raise UsageError(f"--format {self.format} is unknown: choose one of {', '.join(EXPORT_FORMATS)}")
        if self.out.suffix != ".onnx":
            raise UsageError(f"--out {self.out}: the name must end in .onnx")
        if not self.out.parent.is_dir():
            raise UsageError(f"--out {self.out}: there is no folder {self.out.parent}")
        if self.calibrate is not None and not self.format.endswith("int8"):
            raise UsageError(f"--calibrate only applies to int8 formats, not to {self.format}: remove it")


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What ``vidscan serve`` is asked to do.

    ``place``: a folder whose files may be scanned, or a store to be worked through; None takes uploads alone.
    """

    place: Path | None = None
    options: ScanOptions = field(default_factory=ScanOptions)
    store: Path | None = flag(
        None,
        "keep the results in NAME.vidscan (default: of a folder, in your own folder)",
        "NAME.vidscan",
        read=_store,
    )
    port: int | None = flag(None, "listen on this port (default: a free one)", "N")
    no_browser: bool = flag(False, "do not open the page in a browser")
    max_upload: float = flag(4.0, "take uploads of up to so much at once, in GB", "N")
    host: str = flag("127.0.0.1", "listen on this address; any but this machine's own needs --i-know", "H")
    i_know: bool = flag(False, "with --host: you know who can reach it, and that all goes unencrypted")
    allowed_hosts: tuple[str, ...] = flag(
        (),
        "a name by which a reverse proxy passes requests on; may be given again",
        "NAME",
        name="allowed-host",
    )

    def __post_init__(self) -> None:
        """Refuses what cannot work, before anything is loaded."""
        require_amount("--max-upload", self.max_upload, "give a number above 0, such as 4")
        if self.port is not None and not 0 <= self.port <= 65535:
            raise UsageError(f"--port {self.port} cannot work: give a number from 1 to 65535")
        if not self.i_know and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host}: everybody who reaches this machine could try the page, and what they "
                "send goes unencrypted: leave it out, or add --i-know"
            )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Request: TypeAlias = ScanRequest | DoctorRequest | ExportOptions | ServeRequest
