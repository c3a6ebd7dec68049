"""The practice competition: scores submissions on this machine and lists them as Kaggle does."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.csv_records import read_records, write_records
from pipeline.competitions.practice import scorer
from pipeline.competitions.practice.score import Score
from pipeline.competitions.practice.source import PracticeSource, practice_key
from pipeline.competitions.protocol import Entry


@dataclass(frozen=True)
class PracticeCompetition:
    """The competition whose hidden labels `source` builds; see `Competition` for the methods.

    The list of submissions is `submissions.csv` in the source's folder, oldest first.
    """

    source: PracticeSource

    @property
    def key(self) -> str:
        """The name that the ledger records: each seed has hidden rows of its own."""
        return practice_key(self.source.seed)

    def check_ready(self) -> None:
        """Do nothing: a practice submission needs only this machine."""

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Score `csv` and add it to the list of submissions, once per `token`.

        The list has the public score alone, with 5 decimals, as on Kaggle. A malformed file is
        listed with the status "error" and no score, also as on Kaggle. Raises PipelineError if
        `csv` is missing, or if `message` does not contain the token.
        """
        if not token or token not in message:
            raise PipelineError(f"message: {message!r} lacks the token {token!r}; add it")
        if not csv.is_file():
            raise PipelineError(f"{csv}: no such file; make the submission first")
        self.source.fetch()
        with self.source.locked():
            entries = self.submissions()
            for entry in entries:
                if token in entry.message:
                    return entry
            entry = self._score(csv, message, reference=f"practice-{len(entries) + 1}")
            write_records(self._list_path, Entry, [*reversed(entries), entry])
        return entry

    def is_lost(self, token: str) -> bool:
        """Return False: `submit` scores and lists a submission at once, or not at all."""
        return False

    def submissions(self) -> list[Entry]:
        """Return the submissions made so far, newest first. Raises PipelineError.

        Lists of earlier versions have private scores too; they are left out.
        """
        listed = read_records(self._list_path, Entry, "a list of submissions")
        return [entry.model_copy(update={"private_score": None}) for entry in reversed(listed)]

    def reveal(self, csv: Path) -> Score:
        """Return the score of `csv` on the public, private and all hidden rows.

        Raises PipelineError if it is no submission.
        """
        self.source.fetch()
        return scorer.score(self.source, submission.check(csv))

    @property
    def _list_path(self) -> Path:
        return self.source.folder / "submissions.csv"

    def _score(self, csv: Path, message: str, reference: str) -> Entry:
        """Return the entry of a new submission."""
        entry = Entry(
            reference=reference,
            file_name=csv.name,
            submitted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            message=message,
            status="error",
        )
        try:
            labels = submission.check(csv)
        except PipelineError:
            return entry
        public_score = scorer.score(self.source, labels).public.share
        return entry.model_copy(update={"status": "complete", "public_score": public_score})
