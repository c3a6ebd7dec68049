"""Submits a CSV with a token as `make submit` does: `python -m tests.kaggle.sender <csv> <token>`.

The journal of submissions is the file "handed" in the working directory.
"""

import sys
from functools import partial
from pathlib import Path

from pipeline.common.errors import exit_codes
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.kaggle.upload import KaggleCompetition

if __name__ == "__main__":
    with exit_codes():
        report = partial(print, flush=True)
        competition = KaggleCompetition(report=report, journal=Journal(Path("handed")), poll=0.1)
        competition.submit(Path(sys.argv[1]), f"{sys.argv[2]} killed", sys.argv[2])
