"""What is said of several people in one source, drawn from those left out; see ``verdict.evidence``.

Faces of one medium are put together as a scan puts its people together, all with the same weight, under the
calibration and thresholds that ship. Nobody was filmed together: who stands in one recording shares its
camera, and errs with it more often than people drawn from everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidscan.verdict.evidence import TAIL
from vidscan_training.recipes.vit.folds import auc
from vidscan_training.recipes.vit.fusion import Array, apart, are_stills
from vidscan_training.recipes.vit.judged import Judged
from vidscan_training.recipes.vit.rules import thresholds

TAILS = (1.0, 1.5, 2.0, 3.0)
"""Values of ``evidence.TAIL``."""
PEOPLE = (1, 2, 3, 6)
DRAWS = 20_000


def table(judged: Judged) -> str:
    """In Markdown, by the exponent: genuine groups called FAKE, and one fake clip of ffpp among three."""
    still = are_stills(judged.clips)
    logits = apart(judged.shares)(judged.clips, judged.members).logits(judged.members, still)
    limit = thresholds(judged.clips, logits, judged.fine).fake
    generator = np.random.default_rng(0)
    heads = [f"{medium}: {count} genuine" for medium in ("clips", "stills") for count in PEOPLE]
    heads += ["ffpp, one fake of three: AUC", "fakes: FAKE", "genuine: FAKE"]
    lines = [f"| exponent | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for tail in TAILS:
        cells: list[float] = []
        for medium in (~still, still):
            genuine = np.flatnonzero(medium & ~judged.fake)
            for count in PEOPLE:
                group = generator.choice(genuine, (DRAWS, count))
                cells.append(float(_called(logits, judged.fine, group, limit, tail).mean()))
        cells += _one_of_three(judged, logits, limit, tail, generator)
        name = f"**{tail}**" if tail == TAIL else f"{tail}"
        lines.append(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(lines)


def together(logits: Array, tail: float) -> Array:
    """The logit of each row's people, ``[n]``, from theirs, ``[n, people]``, of equal weight."""
    return np.asarray(np.log(np.exp(tail * logits).mean(axis=1)) / tail)


def _called(
    logits: Array, fine: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], limit: float, tail: float
) -> npt.NDArray[np.bool_]:
    """Which groups are FAKE: together, and by a person who says so and was seen in enough detail."""
    says_so = ((logits[group] >= limit) & fine[group]).any(axis=1)
    return np.asarray((together(logits[group], tail) >= limit) & says_so)


def _one_of_three(
    judged: Judged, logits: Array, limit: float, tail: float, generator: np.random.Generator
) -> list[float]:
    """The AUC of groups of three with a fake against groups without, and the shares called FAKE of both."""
    own = np.array([clip.row.collection == "ffpp" and clip.row.part == "val" for clip in judged.clips])
    person = np.array([clip.row.person for clip in judged.clips])
    genuine, forged = np.flatnonzero(own & ~judged.fake), np.flatnonzero(own & judged.fake)
    if len(genuine) < 3 or not len(forged):
        return [np.nan] * 3
    groups: dict[bool, list[list[int]]] = {True: [], False: []}
    for _ in range(DRAWS):
        fake = int(generator.choice(forged))
        others = genuine[person[genuine] != person[fake]]
        groups[True].append([fake, *generator.choice(others, 2, replace=False)])
        groups[False].append(list(generator.choice(genuine, 3, replace=False)))
    rows = {label: np.array(each) for label, each in groups.items()}
    scores = {label: together(logits[each], tail) for label, each in rows.items()}
    called = {label: _called(logits, judged.fine, each, limit, tail).mean() for label, each in rows.items()}
    return [auc(scores[False], scores[True]), float(called[True]), float(called[False])]
