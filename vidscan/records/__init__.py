"""The frozen types that pass between stages.

Only numpy and the standard library are imported here: every stage may import this package, and it imports
none of them. Pictures are always RGB, ``uint8``, 0-255, laid out ``[height, width, 3]``. Boxes are in pixels
of the upright frame, times in seconds from the start of the clip.
"""

from vidscan.records.card import (
    LEAST_FACE,
    TYPICAL_SPREAD,
    Calibration,
    Member,
    ModelCard,
    Quantisation,
    StillRule,
    member_names,
    thresholds_in_force,
)
from vidscan.records.findings import (
    ErrorInfo,
    EvidenceCrop,
    Findings,
    Heat,
    HeatKind,
    HeatSource,
    Interval,
    Label,
    MemberVerdict,
    Remark,
    Report,
    Segment,
    SourceFacts,
    StageSeconds,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.records.provenance import (
    Action,
    ContentCredentials,
    CredentialsState,
    FailedCheck,
    Ingredient,
    Meaning,
    Provenance,
    Tag,
)
from vidscan.records.stages import (
    APPEARANCE,
    FULL_QUALITY,
    LANDMARK_COUNT,
    Appearance,
    Box,
    CropBatch,
    Detection,
    FaceCrop,
    FaceScore,
    FaceSeen,
    FileStamp,
    Frame,
    Geometry,
    Image,
    Landmarks,
    Quality,
    Region,
    Remote,
    ScoredBatch,
    Sighting,
    Source,
    SourceKind,
    no_appearance,
)
