"""How long a training takes: measured on a short trial, to plan a long one."""

from __future__ import annotations

from dataclasses import dataclass

from vidscan.errors import UsageError
from vidscan_training.fitting.progress import StepClock

_SLACK = 0.95
"""Share of the time left that is planned for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a training of two epochs took, in seconds.

    ``start``: until the first step is done, building and compiling included; ``step``: one step, waiting
    for its pictures included; ``epoch``: what comes between the last step of an epoch and the next one's
    first; ``scoring``: validation for the first time, compiling included; ``validation``: the next time.
    """

    start: float
    step: float
    epoch: float
    scoring: float
    validation: float


def pace_of(clock: StepClock, began: float) -> Pace:
    """Reads a clock after two epochs; ``began`` is when the training was asked for."""
    (first, second), (figures, last_figures) = clock.steps, clock.epochs
    validation = last_figures - second[-1]
    return Pace(
        start=first[0] - began,
        # The second epoch begins with no picture loaded ahead, as none would be where loading is slowest.
        step=(second[-1] - clock.starts[1]) / len(second),
        epoch=validation + clock.starts[1] - figures,
        scoring=figures - first[-1],
        validation=validation,
    )


def steps_that_fit(pace: Pace, seconds: float, validations: int, crops_to_score: float) -> int:
    """How many training steps fit into a time, with all that surrounds them.

    Args:
        pace: of a trial.
        seconds: the time.
        validations: epochs into which the training is divided.
        crops_to_score: calibration and evaluation, which come after it, each see this many times as many
            crops as validation does.

    Raises:
        UsageError: there is no time for even two steps an epoch.
    """
    compiling = max(0.0, pace.scoring - pace.validation)
    measuring = 2 * (compiling + crops_to_score * pace.validation) + 2 * compiling
    left = _SLACK * seconds - pace.start - compiling - validations * pace.epoch - measuring
    steps = int(left / pace.step)
    if steps < 2 * validations:
        raise UsageError(
            f"no time is left to train in: {seconds / 60:.1f} minutes, of which all but "
            f"{max(0.0, left) / 60:.1f} go into compiling and measuring; give more with --minutes"
        )
    return steps
