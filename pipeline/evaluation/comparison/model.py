"""The result of a comparison: plain data, which the table, the CSV, the JSON and the page show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pipeline.runs import Run

Setting = str | int | float | bool | None
"""The value of a recipe's key."""


@dataclass(frozen=True)
class Scores:
    """Scores on the validation rows, each with the ends of its 95 % interval.

    The accuracy and the expected calibration error are in [0, 1], the log loss is in nats. `rows`
    is their number. `one_fold_a_row` marks an ensemble of a run with folds and a run with a
    hold-out: one fold predicts each validation row, all folds each test row, so that the accuracy
    is too low. `rows_also_chose` marks recipes in which these rows also chose the checkpoints, the
    learning rate or the end of the training. `expected_public` is the 95 % prediction interval of
    the public score; `out_of_fold` marks runs with folds, of which one fold predicts each of these
    rows and all folds each test row, so that the public score is often higher.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    log_loss_interval: tuple[float, float]
    calibration_error: float
    calibration_error_interval: tuple[float, float]
    rows: int
    one_fold_a_row: bool
    rows_also_chose: bool
    expected_public: tuple[float, float]
    out_of_fold: bool = False


@dataclass(frozen=True)
class RunRow:
    """One run. `recipe_row` is the number of its recipe among the group's recipes, from 0.

    `test_accuracy` is known for MNIST's own test rows. The public and the private score are those
    of the CSV that the run's stored probabilities give; `after_reveal` tells whether it was
    submitted after a private score of the competition had been revealed. `parents` are the runs
    that an ensemble averages.
    """

    run: str
    recipe: str
    recipe_row: int
    seeds: list[int]
    state: str
    created_at: str
    parents: list[str]
    members: int
    checkpoints: int
    epochs: int
    minutes: float
    scores: Scores
    test_accuracy: float | None
    public_score: float | None
    private_score: float | None
    hidden_score: float | None
    submitted_at: str
    after_reveal: bool


@dataclass(frozen=True)
class AgainstBest:
    """A recipe against the best of its group, on their common rows.

    `difference` is its accuracy minus the best one's, with its 95 % interval. `p_value` is
    two-sided, `p_holm` is corrected for the number of comparisons in the group. With one seed each,
    `method` is "mcnemar": the p-value is that of the exact McNemar test between these two
    trainings, and `only_this_right` and `only_best_right` count the rows that only one of the two
    gets right. With several seeds it is "crossed": rows and seeds are both taken as random.
    `rows_needed` and `seeds_needed` say how many rows, or how many seeds of each, find a
    difference of this size in four of five cases; None where no number does.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    p_holm: float
    method: str
    only_this_right: int | None
    only_best_right: int | None
    rows_needed: int | None
    seeds_needed: int | None


@dataclass(frozen=True)
class RecipeRow:
    """The runs of one recipe on the same data and split that differ only in the seed.

    `runs` are ordered by seed; `best_run` is the one with the best validation scores. `settings`
    are the values that differ between the group's recipes, by dotted key. `scores` are the means
    over the seeds, and their intervals account for rows and seeds, but the expected public score is
    that of `best_run`; `deviation` is the accuracy's
    standard deviation over the seeds, None for a single one. `against_best` is None for the best
    recipe.
    """

    recipe: str
    runs: list[str]
    best_run: str
    seeds: list[int]
    settings: dict[str, Setting]
    scores: Scores
    deviation: float | None
    minutes: float
    against_best: AgainstBest | None


@dataclass(frozen=True)
class Group:
    """The recipes and runs on one split, best first; `source` names their data."""

    source: str
    split: str
    recipes: list[RecipeRow]
    runs: list[RunRow]


@dataclass(frozen=True)
class Pair:
    """Two best runs of different splits of the same data, on their `rows` common validation rows.

    The accuracies are shares in [0, 1] of those rows. `p_value` is the exact McNemar test's;
    `only_first_right` and `only_second_right` count the rows that only one of the two gets right.
    """

    first: str
    second: str
    rows: int
    first_accuracy: float
    second_accuracy: float
    p_value: float
    only_first_right: int
    only_second_right: int


@dataclass(frozen=True)
class PublicScores:
    """Validation against public score, over all scored submissions of one competition.

    `points` are run, validation accuracy and public score. `rank_correlation` is Spearman's,
    in [-1, 1], None with fewer than five submissions.
    """

    competition: str
    points: list[tuple[str, float, float]]
    rank_correlation: float | None


@dataclass(frozen=True)
class Comparison:
    """All groups (the one with the newest run first), the pairs, and the runs without scores.

    `unreadable` are the runs that are left out because of a damaged file: their names and why.
    """

    groups: list[Group]
    pairs: list[Pair]
    public_scores: list[PublicScores]
    unscored: list[Run]
    unreadable: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return {
            "groups": [asdict(group) for group in self.groups],
            "pairs": [asdict(pair) for pair in self.pairs],
            "public_scores": [asdict(one) for one in self.public_scores],
            "unscored": [{"run": run.id, "state": run.state()} for run in self.unscored],
            "unreadable": [
                {"run": name, "reason": reason} for name, reason in self.unreadable.items()
            ],
        }
