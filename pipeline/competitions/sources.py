"""What `SOURCE` means: Kaggle, the practice competition, MNIST, or a folder of downloaded CSVs."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle.client import KaggleCompetition
from pipeline.competitions.kaggle.credentials import find_credentials
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.protocol import Competition, Entry
from pipeline.data.dataset import DataFiles
from pipeline.data.spec import SPEC

MNIST_FOLDER = Path(__file__).parents[2] / "data" / "mnist"


@dataclass(frozen=True)
class FolderCompetition:
    """CSVs that a person downloaded in the browser; the upload is the person's too."""

    folder: Path
    name: str = "folder"

    def fetch(self) -> DataFiles:
        """Say where train.csv and test.csv lie. Raises PipelineError if one is missing."""
        files = DataFiles(self.folder / "train.csv", self.folder / "test.csv", real=False)
        for path in (files.train, files.test):
            if not path.is_file():
                raise PipelineError(
                    f"SOURCE is {self.folder}, where there is no {path.name}; download both files "
                    f"from {SPEC.url}/data into it"
                )
        return files

    def check_ready(self) -> None:
        """Do nothing: for a folder, `submit` ends with the CSV written."""

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Raise PipelineError: nothing can be uploaded for a folder."""
        raise PipelineError(f"SOURCE is the folder {self.folder}: {upload_by_hand(csv)}")

    def submissions(self) -> list[Entry]:
        """Return none: a folder keeps no list."""
        return []


@dataclass(frozen=True)
class MnistBenchmark:
    """MNIST's own 60,000 and 10,000 digits. Its test labels are public: nothing is submitted."""

    folder: Path
    name: str = "mnist"

    def fetch(self) -> DataFiles:
        """Say where MNIST's files lie; they come with the repository."""
        train, test = (f"{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
        return DataFiles(self.folder / train, self.folder / test, form="idx")

    def check_ready(self) -> None:
        """Raise PipelineError: nothing can be submitted."""
        raise PipelineError(NOT_SUBMITTED)

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Raise PipelineError: nothing can be submitted."""
        raise PipelineError(NOT_SUBMITTED)

    def submissions(self) -> list[Entry]:
        """Return none: a benchmark keeps no list."""
        return []


NOT_SUBMITTED = (
    "SOURCE is mnist, whose test labels are public, so there is nothing to submit; make ensemble "
    "trains and prints the test accuracy, and SOURCE=practice or SOURCE=kaggle take submissions"
)


def upload_by_hand(csv: Path) -> str:
    """Return how a person uploads `csv`."""
    return f"upload {csv} at {SPEC.url}/submit, or set up Kaggle credentials and use SOURCE=kaggle"


def choose(source: str, practice_seed: int, data_folder: Path, report: Report) -> Competition:
    """Return the competition that `source` names, and tell the person which one it is.

    `source` is "auto", "kaggle", "practice", "mnist" or a folder; "auto" means Kaggle where
    credentials are found, else practice. `practice_seed` picks the permutation of the practice
    competition; each has its own folder. Raises PipelineError for any other word, and for a
    permutation, other than the first, that would count for nothing.
    """
    chosen = _choose(source, practice_seed, data_folder, report)
    if practice_seed and not isinstance(chosen, PracticeCompetition):
        raise PipelineError(
            f"PRACTICE_SEED is {practice_seed}, but SOURCE={source} is not the practice "
            "competition here; add SOURCE=practice, or leave out PRACTICE_SEED"
        )
    return chosen


def _choose(source: str, practice_seed: int, data_folder: Path, report: Report) -> Competition:
    if source == "auto":
        return _automatic(practice_seed, data_folder, report)
    if source == "kaggle":
        report("source: Kaggle")
        return KaggleCompetition(data_folder / "kaggle", report=report)
    if source == "practice":
        report(f"source: the practice competition (PRACTICE_SEED={practice_seed})")
        return _practice(practice_seed, data_folder)
    if source == "mnist":
        report("source: MNIST, 60,000 labelled digits and 10,000 to test on")
        return MnistBenchmark(MNIST_FOLDER)
    folder = Path(source).expanduser()
    if folder.is_dir():
        report(f"source: the folder {folder}")
        return FolderCompetition(folder)
    raise PipelineError(
        f"SOURCE is {source!r}; it must be auto, kaggle, practice, mnist, or a folder with "
        "train.csv and test.csv"
    )


def _automatic(practice_seed: int, data_folder: Path, report: Report) -> Competition:
    form = find_credentials()
    if form is None:
        report(
            "source: the practice competition, as no Kaggle credentials were found "
            f"(PRACTICE_SEED={practice_seed}; make doctor says how to set them up)"
        )
        return _practice(practice_seed, data_folder)
    report(f"source: Kaggle, with {form}")
    return KaggleCompetition(data_folder / "kaggle", report=report)


def _practice(seed: int, data_folder: Path) -> PracticeCompetition:
    folder = "practice" if seed == 0 else f"practice-{seed}"
    return PracticeCompetition(data_folder / folder, MNIST_FOLDER, seed)
