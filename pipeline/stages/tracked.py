"""A stage whose run is logged to the trackers that a person has chosen: MLflow, TensorBoard."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Protocol, TypeVar

from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.submit import SubmitResult
from pipeline.tracking import address, event_files
from pipeline.training.events import Event, OnEvent

Result = TypeVar("Result")


class Tracker(Protocol):
    """What a run is logged to."""

    def follow(self, run: Run) -> OnEvent:
        """Log a run in training from now on. Return what takes its events."""

    def complete(self, run: Run) -> None:
        """Log the run that the stage has made or found, which need not have been followed."""

    def close(self) -> None:
        """End the logging, however the stage ended."""


def tracked(stage: Callable[[Context], Result], context: Context) -> Result:
    """Return the stage's result. Log its run, if it has one, as it trains and at the end.

    Raises PipelineError, before anything is trained, where a tracker's package is not installed.
    """
    trackers = _chosen(context)
    if not trackers:
        return stage(context)
    with ExitStack() as stack:
        for tracker in trackers:
            stack.enter_context(closing(tracker))

        def watch(run: Run) -> OnEvent:
            watching = [tracker.follow(run) for tracker in trackers]

            def on_event(event: Event) -> None:
                for one in watching:
                    one(event)

            return on_event

        context.watch = watch
        result = stage(context)
        if run := _run_of(result):
            for tracker in trackers:
                tracker.complete(run)
        return result


def check(context: Context) -> None:
    """Raise PipelineError where a tracker's package is missing, or its address cannot be one."""
    if context.request.tensorboard:
        event_files.check_installed()
    if address.tracking_uri():
        address.prepare()


def _chosen(context: Context) -> list[Tracker]:
    """Return the trackers that the request and the environment ask for."""
    check(context)
    trackers: list[Tracker] = []
    if context.request.tensorboard:
        trackers.append(event_files.EventFiles(context.submissions_folder, context.report))
    if address.tracking_uri():
        from pipeline.tracking.live import LiveLog

        trackers.append(LiveLog(context.store, context.ledger, context.report))
    return trackers


def _run_of(result: object) -> Run | None:
    """Return the run in a stage's result, None for a stage without one."""
    match result:
        case Run() as run:
            return run
        case (Run() as run, _):
            return run
        case SubmitResult(run=run):
            return run
    return None
