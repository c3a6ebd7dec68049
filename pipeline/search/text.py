"""What `search` prints, and writes above the winner's recipe."""

import textwrap

from pipeline.recipe.words import as_words
from pipeline.search.record import Measurement, SearchRecord, TrialRecord, TrialState


def space_lines(record: SearchRecord) -> list[str]:
    """Return what is varied, one setting per line, below the search's name."""
    before = f", {len(record.trials)} trials so far" if record.trials else ""
    width = max(map(len, record.space))
    settings = f"{len(record.space)} setting{'s' * (len(record.space) > 1)}"
    return [
        f"search {record.id}: varies {settings} of {record.recipe_name}{before}",
        *(f"  {key:<{width}}  {text}" for key, text in record.space.items()),
    ]


def describe_trial(trial: TrialRecord, record: SearchRecord) -> str:
    """Return the line about a trial that has ended. The best so far is told with its settings."""
    name = f"trial {trial.number}" + " (the recipe's own settings)" * (not trial.number)
    if trial.state == "failed":
        return f"{name} failed: {trial.reason}"
    epochs = f"{trial.epochs} epoch{'s'[: trial.epochs - 1]}"
    line = f"{name}: {trial.value:.5f} {'pruned ' * (trial.state == 'pruned')}after {epochs}"
    line += f", {trial.seconds:.0f} s"
    if not record.completed:
        return line
    best = record.completed[0]
    if best.number == trial.number:
        return f"{line}, the best so far: {as_words(trial.settings)}"
    return f"{line}; best {best.value:.5f} (trial {best.number})"


def result_lines(record: SearchRecord) -> list[str]:
    """Return the result for a person: what was tried, and both figures of the winner, if any."""
    if record.start is None:
        return ["The trial with the recipe's own settings is not complete yet."]
    best = record.completed[0]
    if not best.number:
        return [
            *tried_lines(record),
            f"no better settings were found: none of the trials had more than the recipe's own "
            f"{best.value:.5f}, on {record.rows:,} validation rows",
        ]
    measured = record.measurement_of(best)
    lines = [*tried_lines(record), *winner_lines(record, best, measured)]
    if measured:
        name = "the recipe" if measured.is_better else "its settings, all the same"
        lines.append(f"{name}: {record.recipe_file}")
    return lines


def tried_lines(record: SearchRecord) -> list[str]:
    """Return how many trials came to what, and which settings mattered, if that can be said."""
    states: tuple[TrialState, ...] = ("completed", "pruned", "failed")
    counts = ", ".join(f"{record.count(state)} {state}" for state in states)
    lines = [
        f"search {record.id}: {len(record.trials)} trials in {record.minutes:.0f} min ({counts})"
    ]
    if record.importance:
        shares = ", ".join(f"{key} {share:.2f}" for key, share in [*record.importance.items()][:5])
        count = record.count("completed")
        lines.append(f"which settings mattered (shares of 1, a hint from {count} trials): {shares}")
    return lines


def winner_lines(
    record: SearchRecord, winner: TrialRecord, measured: Measurement | None
) -> list[str]:
    """Return a trial's accuracy on the rows that chose it, and with new seeds and folds."""
    assert record.start is not None
    own, best = record.start.value or 0, winner.value or 0
    chosen = (
        f"on the {record.rows:,} rows that chose it: trial {winner.number} {best:.5f}, the recipe "
        f"itself {own:.5f} ({best - own:+.5f})"
    )
    if measured is None:
        return [chosen, "it is not measured with new seeds and folds yet"]
    return [chosen, *measurement_lines(measured, record.measurements.index(measured) + 1)]


def measurement_lines(measured: Measurement, count: int) -> list[str]:
    """Return the figures with new seeds and folds, and the verdict."""
    low, high = measured.interval
    seeds = f"seed{'s'[: len(measured.seeds) - 1]} {', '.join(map(str, measured.seeds))}"
    times = f", multiplied by {count} as it is measurement {count} of this search" * (count > 1)
    alone = ", in one training of each: other seeds may turn it around" * (len(measured.seeds) == 1)
    verdict = (
        f"better by more than chance{alone}"
        if measured.is_better
        else "no better recipe was found: the difference may be chance"
        if measured.difference > 0
        else "no better recipe was found"
    )
    return [
        f"measured again on {measured.rows:,} other rows, {measured.folds} new folds, {seeds}: "
        f"{measured.winner_accuracy:.5f}, the recipe itself {measured.start_accuracy:.5f} "
        f"({measured.difference:+.5f}, 95 % interval {low:+.5f} to {high:+.5f}, "
        f"p = {measured.p_value:.2g}{times})",
        verdict,
    ]


def recipe_header(record: SearchRecord, winner: TrialRecord, measured: Measurement) -> str:
    """Return the comment above the winner's recipe: where it comes from, and how good it is."""
    lines = [
        f"Found by make search: trial {winner.number} of search {record.id}, which began with the "
        f"recipe {record.recipe_name}.",
        *tried_lines(record),
        *winner_lines(record, winner, measured),
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, 108)]
    return "".join(f"# {line}\n" for line in wrapped) + "\n"
