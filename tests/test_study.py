"""The study of a search: the trials that it continues, prunes and gives up."""

from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.executors.processes import WorkerSlot
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Checkpoint, Member
from pipeline.search.record import SearchRecord
from pipeline.search.study import SearchStudy
from pipeline.search.trials import RunningTrial, Training, Trials
from pipeline.training.events import Failed, Finished
from tests.studies import SPACE, opened


def test_the_worse_half_is_pruned_but_never_the_recipe_itself(tmp_path: Path) -> None:
    study = opened(tmp_path)
    start = study.next_trial()
    assert start.settings == {"training.learning_rate": 0.01}
    assert not any(start.end_epoch(epoch, 0.5, 1.0) for epoch in range(1, 9))
    start.complete(0.5)
    better, worse = study.next_trial(), study.next_trial()
    assert not any(better.end_epoch(epoch, 0.9, 1.0) for epoch in range(1, 9))
    assert [worse.end_epoch(epoch, 0.4, 1.0) for epoch in (1, 2)] == [False, True]
    better.complete(0.9)
    worse.prune()
    study.next_trial().fail("loss became nan")
    states = [(one.number, one.state, one.value) for one in study.records()]
    assert states == [
        (0, "completed", 0.5),
        (1, "completed", 0.9),
        (2, "pruned", 0.4),
        (3, "failed", None),
    ]
    assert study.records()[3].reason == "loss became nan"


def test_a_trial_0_that_was_killed_at_its_very_beginning_keeps_the_recipes_settings(
    tmp_path: Path,
) -> None:
    study = opened(tmp_path)
    study._study.ask()  # a command that is killed before it has drawn anything
    again = study.next_trial()
    assert (again.number, again.settings) == (0, {"training.learning_rate": 0.01})


def test_a_trial_that_was_killed_after_its_last_epoch_is_completed(tmp_path: Path) -> None:
    study = opened(tmp_path)
    running = RunningTrial(study.next_trial(), recipe.load("quick"))
    kept = [
        Checkpoint(file=f"{one}.keras", epoch=1, val_accuracy=one, val_loss=1) for one in (0, 1)
    ]
    member = Member(index=0, seed=0, epochs=8, checkpoints=kept)
    running.begin(member)
    running.end(Finished(0, member))
    assert [(one.state, one.value) for one in study.records()] == [("completed", 0.5)]


def test_a_trial_that_was_done_before_it_could_be_stopped_is_pruned_all_the_same(
    tmp_path: Path,
) -> None:
    study = opened(tmp_path)
    first = study.next_trial()
    assert not first.end_epoch(2, 0.9, 1.0)
    running = RunningTrial(study.next_trial(), recipe.load("quick"))
    running.pruned = running.trial.end_epoch(2, 0.8, 1.0)
    running.end(Finished(1, Member(index=1, seed=0, epochs=8)))
    assert [(one.number, one.state) for one in study.records()][1] == (1, "pruned")


def test_trials_are_compared_after_a_quarter_and_after_half_of_the_epochs(tmp_path: Path) -> None:
    assert opened(tmp_path).rungs == {2, 4}
    for epochs, rungs in ((14, {3, 7}), (3, {1}), (1, set())):
        study = SearchStudy(tmp_path / str(epochs), SPACE, {}, epochs, seed=0)
        assert study.rungs == rungs


def test_a_trial_begins_anew_where_the_study_was_lost(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for _ in range(2):
        trial = study.next_trial()
        (trial.folder / RESUME_FILE).touch()
        trial.release()
    (tmp_path / "study.db").unlink()
    assert not (opened(tmp_path).next_trial().folder / RESUME_FILE).exists()


def test_a_pruned_trial_is_not_continued_if_its_process_could_not_say_so(tmp_path: Path) -> None:
    study = opened(tmp_path)
    first, second = study.next_trial(), study.next_trial()
    assert not first.end_epoch(2, 0.9, 1.0)
    assert second.end_epoch(2, 0.8, 1.0)
    second.release()
    assert study.next_trial().number == 2
    assert [(one.state, one.epochs) for one in study.records()][1] == ("pruned", 2)


def test_an_epoch_that_is_trained_again_is_judged_but_counted_once(tmp_path: Path) -> None:
    study = opened(tmp_path)
    first = study.next_trial()
    assert not first.end_epoch(2, 0.9, 1.0)
    for accuracy in (0.8, 0.7):
        trial = study.next_trial()
        trial.end_epoch(1, accuracy, 1.0)
        trial.release()
        again = study.next_trial()
        assert again.number == trial.number
        assert not again.end_epoch(1, accuracy, 1.0)
        assert again.end_epoch(2, accuracy, 2.0)
        again.prune()
    assert [one.value for one in study.records()] == [0.9, 0.8, 0.7]


def test_the_next_command_tries_again_where_the_recipes_own_settings_failed(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.next_trial().fail("the disk is full")
    assert [(one.state, one.reason) for one in first.records()] == [("failed", "the disk is full")]
    again = opened(tmp_path).next_trial()
    assert (again.number, again.settings) == (0, {"training.learning_rate": 0.01})
    assert [(one.state, one.reason) for one in first.records()] == [("running", "")]
    again.complete(0.6)
    assert opened(tmp_path).next_trial().number == 1


def test_a_trial_is_tried_again_once_but_not_if_it_diverged(tmp_path: Path) -> None:
    study = opened(tmp_path)
    one, other = (RunningTrial(study.next_trial(), recipe.load("quick")) for _ in range(2))
    resume = one.trial.folder / RESUME_FILE
    for running in (one, other):
        (running.trial.folder / RESUME_FILE).write_bytes(b"damaged")
    assert one.may_try_again(Failed(0, "resume.npz of the run cannot be read"))
    assert not resume.exists(), "a file that may be the cause"
    assert not one.may_try_again(Failed(0, "out of memory"))
    other.begin(Member(index=1, seed=0, epochs=3))
    assert not other.may_try_again(Failed(1, "loss became nan", diverged=True))
    assert other.may_try_again(Failed(1, "the member's process ended"))
    assert (other.trial.folder / RESUME_FILE).exists(), "it goes on after its last epoch"


def test_trials_that_fail_one_after_another_end_a_search(
    small_digits: Path, tmp_path: Path
) -> None:
    study = opened(tmp_path)
    study.next_trial().complete(0.5)

    def no_recipe(settings: object) -> Recipe:
        raise PipelineError("they do not fit")

    training = Training(no_recipe, *(None,) * 5)  # type: ignore[arg-type]
    trials = Trials(study, training, lambda: None)
    slot = WorkerSlot(tmp_path, {})
    with pytest.raises(PipelineError, match="15 trials in a row failed, the last one with: they"):
        trials.fill(slot, lambda: True)
    slot.close()
    states = [one.state for one in study.records()]
    assert states == ["completed", *["failed"] * 15]


def test_a_trial_that_cannot_be_measured_does_not_win(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for accuracy in (0.5, 0.9):
        study.next_trial().complete(accuracy)
    study.note_unmeasurable(1, "two folds diverge")
    trials = study.records()
    record = SearchRecord(id="quick-1", recipe_name="quick", rows=90, trials=trials)
    assert [one.number for one in record.completed] == [0]
    assert (trials[1].state, trials[1].reason) == ("failed", "two folds diverge")


def test_time_without_a_trial_does_not_count(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for _ in range(2):
        study.next_trial().complete(0.5)
    assert 0 <= study.minutes() < 0.1
