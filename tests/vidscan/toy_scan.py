"""The ``vidscan`` command with a toy detector and a toy network, as a program that can be killed.

It says "begun" on standard output as it begins on the first picture; each takes 40 ms.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from toys import CARD, ToyDetector, ToyScorer

from vidscan.cli.main import main
from vidscan.cli.plan import Parts
from vidscan.models.ensemble import Ensemble
from vidscan.records import Image


def slow(_: Image) -> bool:
    print("begun", flush=True)
    time.sleep(0.04)
    return False


if __name__ == "__main__":
    scorer = ToyScorer(replace(CARD, sha256="70" * 32))
    sys.exit(
        main(parts=Parts(lambda models, runtime: Ensemble((scorer,)), lambda options: ToyDetector(slow)))
    )
