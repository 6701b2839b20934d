"""vidscan tells whether the faces in a video were synthesised, when, and which.

::

    import vidscan

    report = vidscan.scan("clip.mp4", fps=2)
    print(report.verdict.label, report.verdict.fake_probability)

What ``__all__`` lists is the promise of this package. Importing it loads nothing heavy: TensorFlow,
MediaPipe and OpenCV come in when the first scan or checkpoint asks for them.
"""

from __future__ import annotations

# The rooms before the functions of their names: an import sets the package's attribute at its first load
# alone, so ``vidscan.scan`` stays the function, whatever of the room is imported later.
import vidscan.provenance
import vidscan.scan  # noqa: F401
from vidscan.api import load_model, provenance, scan, scan_many
from vidscan.errors import (
    CardError,
    DecodeError,
    DetectionError,
    ModelError,
    ReportError,
    ScoringError,
    SourceError,
    UsageError,
    VidscanError,
)
from vidscan.options import ScanOptions
from vidscan.records import (
    Label,
    ModelCard,
    Provenance,
    Report,
    Segment,
    Status,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.version import __version__

__all__ = [
    "CardError",
    "DecodeError",
    "DetectionError",
    "Label",
    "ModelCard",
    "ModelError",
    "Provenance",
    "Report",
    "ReportError",
    "ScanOptions",
    "ScoringError",
    "Segment",
    "SourceError",
    "Status",
    "TimelinePoint",
    "Track",
    "UsageError",
    "Verdict",
    "VidscanError",
    "__version__",
    "load_model",
    "provenance",
    "scan",
    "scan_many",
]
