"""The competition at Kaggle, reached through the kaggle command.

The command's exit code proves nothing about a submission, in either direction, so whether one
arrived is always read from the list of submissions.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.files import locked
from pipeline.competitions.kaggle.archive import BrokenArchiveError, unpack
from pipeline.competitions.kaggle.calls import Calls
from pipeline.competitions.kaggle.command import run_kaggle
from pipeline.competitions.kaggle.credentials import find_credentials
from pipeline.competitions.kaggle.csv_shapes import SHAPES, check_csv, is_stamped, stamp
from pipeline.competitions.kaggle.entries import parse_entries
from pipeline.competitions.kaggle.failures import UNDECIDED, classify, sign_in_message
from pipeline.competitions.protocol import Entry
from pipeline.data.dataset import DataFiles
from pipeline.data.spec import SPEC

_PAGE_SIZE = "200"
"""The most that one page of the list may hold (`kaggle competitions submissions --help`)."""


def _silent(line: str) -> None:
    """Take a progress line and do nothing with it."""


class KaggleCompetition:
    """digit-recognizer at Kaggle: see `Competition` for what each method promises.

    `folder` is where the data files lie. `report` gets progress lines. Times are in seconds:
    `download_limit`, `upload_limit` and `call_limit` bound one call of the kaggle command
    (download, upload, all others); `settle_limit` is how long a submission is looked for in the
    list after its upload; `score_limit` is how long its score is waited for; `poll` is the pause
    between two looks at the list.
    """

    name = "kaggle"

    def __init__(
        self,
        folder: Path,
        *,
        report: Callable[[str], None] = _silent,
        # 15 MB; the command itself gives up on a connection that is silent for 300 s.
        download_limit: float = 1800.0,
        # 240 kB; the command would try for 369 s if the storage never answers.
        upload_limit: float = 180.0,
        call_limit: float = 60.0,
        settle_limit: float = 30.0,
        score_limit: float = 300.0,
        poll: float = 5.0,
    ) -> None:
        self._folder = folder
        self._report = report
        self._download_limit = download_limit
        self._upload_limit = upload_limit
        self._calls = Calls(call_limit)
        self._settle_limit = settle_limit
        self._score_limit = score_limit
        self._poll = poll

    def fetch(self) -> DataFiles:
        """Make sure that train.csv and test.csv are there, checked and whole, and say where.

        Costs next to nothing where they were checked before. Raises PipelineError, and then
        nothing in the folder has changed.
        """
        if not is_stamped(self._folder):
            # Two commands at once would remove each other's download.
            lock = self._folder.with_name(f".{self._folder.name}.lock")
            with locked(lock, lambda: self._report("waiting for another download to end")):
                if not self._files_are_good():
                    self._download()
                stamp(self._folder)
        return DataFiles(self._folder / "train.csv", self._folder / "test.csv")

    def check_ready(self) -> None:
        """Raise PipelineError if there are no credentials to submit with."""
        if find_credentials() is None:
            raise PipelineError(sign_in_message())

    def submissions(self) -> list[Entry]:
        """List the submissions made so far, the newest 200, newest first. Raises PipelineError."""
        arguments = ["competitions", "submissions", SPEC.slug, "-v", "--page-size", _PAGE_SIZE]
        outcome = self._calls.call(arguments, "listing the submissions")
        return parse_entries(outcome.stdout)

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Send `csv` with `message`, unless an entry has `token`, and wait for the score.

        Nothing is ever sent twice: a failed upload is looked for in the list before the failure
        is told. The waiting is done here, because the command has no option for it. Raises
        PipelineError, and ValueError if `token` is not part of `message`.
        """
        if token not in message:
            raise ValueError(f"the message must hold the token {token!r}: {message!r}")
        if not csv.is_file():
            raise PipelineError(f"{csv}: there is no such file to submit; run `make submission`")
        entry = self._find(token)
        if entry is not None:
            self._report(f"already submitted to Kaggle as {entry.reference}: not sent again")
        else:
            entry = self._send(csv, message, token)
            self._report(f"Kaggle lists the submission as {entry.reference}")
        return self._await_score(entry, token)

    def _files_are_good(self) -> bool:
        """Whether both data files are there with the right shape; a wrong one is reported."""
        for name, shape in SHAPES.items():
            path = self._folder / name
            if not path.is_file():
                return False
            try:
                check_csv(path, shape, str(path))
            except PipelineError as error:
                self._report(f"{error}: downloading it again")
                return False
        return True

    def _download(self) -> None:
        """Download the archive and unpack it.

        It goes to a folder of its own that is removed afterwards, whatever happens: the unpacked
        files are noted as checked, and an archive left from a cut download would have to be
        distrusted anyway.
        """
        self.check_ready()
        passing = self._folder / ".download"
        try:
            try:
                unpack(self._download_archive(passing), self._folder)
            except BrokenArchiveError as error:
                self._report(f"{error}: downloading it once more")
                unpack(self._download_archive(passing), self._folder)
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    def _download_archive(self, passing: Path) -> Path:
        """Download the archive into the folder `passing` and return its path."""
        try:
            passing.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(
                f"{passing}: cannot make this folder ({error.strerror}); it must be writable"
            ) from None
        archive = passing / f"{SPEC.slug}.zip"

        def tell(seconds: float) -> None:
            size = archive.stat().st_size / 1e6 if archive.exists() else 0.0
            self._report(f"downloading: {size:.1f} MB after {seconds:.0f} s")

        self._report(f"downloading {SPEC.slug}.zip (15 MB) from Kaggle")
        # -o, because without it the command takes a leftover of the right size for the real one.
        arguments = ["competitions", "download", SPEC.slug, "-o", "-p", str(passing)]
        limit = self._download_limit
        self._calls.call(arguments, "downloading the data", time_limit=limit, on_beat=tell)
        if not archive.is_file():
            raise PipelineError(
                f"{archive.name}: the kaggle command reported success but left no such file; run "
                "`make setup` to get the locked version of kaggle"
            )
        return archive

    def _find(self, token: str) -> Entry | None:
        """Return the newest entry whose message holds `token`, if any."""
        return next((entry for entry in self.submissions() if token in entry.message), None)

    def _send(self, csv: Path, message: str, token: str) -> Entry:
        """Upload `csv` once and return the entry that the list then shows."""
        doing = f"uploading {csv.name}"

        def tell(seconds: float) -> None:
            self._report(f"{doing}: {seconds:.0f} s of at most {self._upload_limit:g} s")

        self._report(f"{doing} to Kaggle")
        # Joined with "=", so that a message or path may begin with a dash. No submission is left
        # out of account if the upload is cancelled: the next attempt reads the list first.
        arguments = [
            "competitions",
            "submit",
            SPEC.slug,
            "-q",
            f"--file={csv}",
            f"--message={message}",
        ]
        outcome = run_kaggle(arguments, time_limit=self._upload_limit, on_beat=tell)
        kind = classify(outcome)
        patience = self._settle_limit if kind is None or kind in UNDECIDED else 0.0
        try:
            entry = self._read_back(token, patience)
        except PipelineError as error:
            cause = f"; the upload: {self._calls.failure(outcome, kind, doing)}" if kind else ""
            raise PipelineError(
                f"whether Kaggle took {csv.name} is not known, because the list could not be read: "
                f"{error}{cause}; look at {SPEC.url}/submissions"
            ) from None
        if entry is not None:
            return entry
        if kind is not None:
            raise self._calls.failure(outcome, kind, doing)
        raise PipelineError(
            f"the kaggle command reported {csv.name} as submitted, but the list does not show it "
            f"after {self._settle_limit:g} s; look at {SPEC.url}/submissions before you "
            "send it again"
        )

    def _read_back(self, token: str, patience: float) -> Entry | None:
        """Look for `token` in the list until it is there or `patience` seconds are over.

        Raises the last PipelineError if the list could not be read at the end.
        """
        deadline = time.monotonic() + patience
        while True:
            problem = None
            try:
                entry = self._find(token)
            except PipelineError as error:
                entry, problem = None, error
            if entry is not None:
                return entry
            if time.monotonic() + self._poll > deadline:
                break
            time.sleep(self._poll)
        if problem is not None:
            raise problem
        return None

    def _await_score(self, entry: Entry, token: str) -> Entry:
        """Return the entry once it is settled, or as it is at the time limit."""
        start = time.monotonic()
        while entry.status == "pending":
            gone = time.monotonic() - start
            if gone >= self._score_limit:
                self._report(f"no score yet after {gone:.0f} s; see {SPEC.url}/submissions later")
                break
            self._report(f"waiting for the score: {gone:.0f} s of at most {self._score_limit:g} s")
            time.sleep(self._poll)
            try:
                entry = self._find(token) or entry
            except PipelineError as error:
                # The submission is made; a failed look at the list must not end in a failure.
                self._report(f"could not look for the score: {error}")
        return entry
