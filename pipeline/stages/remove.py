"""The stage `remove`: deletes runs and their submissions, but none that something needs."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.files import size
from pipeline.common.text import printable, size_text
from pipeline.recipe.spelling import closest
from pipeline.runs import Run, RunStore, claim
from pipeline.runs.removal import delete, hide, remove_leftovers
from pipeline.stages.context import Context
from pipeline.stages.stop import kernel_of

NEEDED = ("averaged", "submitted", "kernel")
"""Why a run is kept, and the words of `ALSO` with which it is removed all the same."""


def remove(context: Context, also: str = "") -> None:
    """Delete the runs that the request names, after a question unless `FORCE` is given.

    With each run go `submissions/<id>.csv` and `.png`. `also` has words of `NEEDED`. All is checked
    before anything is deleted. Raises PipelineError for a run that is not there, that something
    needs, or that a process works on, and where nobody can be asked.
    """
    allowed = _words(also)
    if not context.request.runs:
        raise PipelineError(
            "RUN is left out; make remove takes the ids of runs, or unique beginnings of them "
            "(make runs lists them)"
        )
    _clean_up(context)
    context.store.all()  # finds the unreadable ones
    folders = [*dict.fromkeys(_folder(context.store, name) for name in context.request.runs)]
    _refuse_needed(context, folders, allowed)
    with ExitStack() as claims:
        for folder in folders:
            claims.enter_context(claim.claimed(folder))
        freed = _list(context, folders)
        if not context.request.force and not _agreed():
            context.report("nothing was removed; FORCE=1 removes without a question")
            return
        with context.store.locked():
            _refuse_needed(context, folders, allowed)  # there may be a new average meanwhile
            hidden = [_hide(context, one) for one in _averages_first(context, folders)]
            _tell(context, filter(None, map(delete, hidden)))
    count = f"{len(folders)} run{'s' * (len(folders) > 1)}"
    context.report(f"removed {count}, {size_text(freed)}")


def _words(also: str) -> list[str]:
    """Return the words of `ALSO`. Raises PipelineError for an unknown one."""
    for word in (words := also.replace(",", " ").split()):
        if word not in NEEDED:
            near = closest(word, NEEDED)
            raise PipelineError(
                f"ALSO is {printable(repr(also))}{f' (did you mean {near}?)' if near else ''}; it "
                f'must be one or more of {", ".join(NEEDED)}, as in ALSO="averaged submitted"'
            )
    return words


def _clean_up(context: Context) -> None:
    """Finish what a killed removal has begun."""
    if context.store.folder.is_dir():
        with context.store.locked():
            _tell(context, remove_leftovers(context.store.folder))


def _tell(context: Context, left: Iterable[Path]) -> None:
    for path in left:
        context.report(f"{path} cannot be deleted wholly; delete it yourself")


def _folder(store: RunStore, name: str) -> Path:
    """Return the folder of a run, or that of exactly this name if its record cannot be read."""
    exact = store.folder / Path(name).name
    folder = exact if exact.name in store.unreadable else store.find(name).folder
    if folder.is_symlink():
        raise PipelineError(
            f"{folder} is a link to another place, where make remove deletes nothing; delete the "
            "link yourself"
        )
    return folder


def _refuse_needed(context: Context, folders: Sequence[Path], allowed: Sequence[str]) -> None:
    """Raise PipelineError for a run that something needs, unless `allowed` has the word for it."""
    runs = {run.id: run for run in context.store.all()}
    names = {folder.name for folder in folders}
    submitted = {upload.run for upload in context.ledger.uploads()}
    for name in sorted(names):
        averages = _averages_of(name, runs.values(), names)
        if averages and "averaged" not in allowed:
            raise PipelineError(
                f"run {name} is needed by {', '.join(averages)}, which cannot be made again "
                "without it; nothing was removed; name them in RUN too, or give ALSO=averaged"
            )
        if name in submitted and "submitted" not in allowed:
            raise PipelineError(
                f"run {name} was submitted: {context.ledger.path} has its scores, and its CSV "
                "would go; nothing was removed; ALSO=submitted removes it all the same"
            )
        kernel = kernel_of(runs[name].record) if name in runs else None
        if kernel and "kernel" not in allowed:
            raise PipelineError(
                f"run {name} is trained by the kernel {kernel.url}; nothing was removed; make stop "
                f"RUN={name} ends it first, and ALSO=kernel removes the run and leaves the kernel"
            )


def _averages_of(name: str, runs: Iterable[Run], removed: set[str]) -> list[str]:
    """Return the ids of averages that need a run, and of averages of those, but for `removed`."""
    parents = {run.id: set(run.record.parents) for run in runs}
    needing, before = {name}, set[str]()
    while needing != before:
        before = set(needing)
        needing |= {one for one, needed in parents.items() if needed & needing}
    return sorted(needing - removed)


def _averages_first(context: Context, folders: Sequence[Path]) -> list[Path]:
    """Return the folders in an order in which no average is ever without what it needs."""
    order = TopologicalSorter[Path](dict.fromkeys(folders, ()))
    for run in context.store.all():
        for parent in run.record.parents:
            order.add(run.folder.with_name(parent), run.folder)
    try:
        return [folder for folder in order.static_order() if folder in folders]
    except CycleError:  # a damaged record, of a run that averages itself
        return list(folders)


def _submission_files(context: Context, folder: Path) -> list[Path]:
    """Return the files in submissions/ that are a run's."""
    if folder.name.lower() == context.ledger.path.stem:  # some disks ignore the case of letters
        return []
    files = [context.submissions_folder / f"{folder.name}{suffix}" for suffix in (".csv", ".png")]
    return [path for path in files if path.is_file() or path.is_symlink()]


def _list(context: Context, folders: Sequence[Path]) -> int:
    """Print what would go, with its size. Return the bytes of all."""
    paths = [path for one in folders for path in (one, *_submission_files(context, one))]
    sizes = [size(path) for path in paths]
    width = max(len(printable(path)) for path in paths)
    for path, count in zip(paths, sizes, strict=True):
        context.report(f"{printable(path):<{width}}  {size_text(count):>8}")
    return sum(sizes)


def _agreed() -> bool:
    """Ask at the terminal, and return whether the answer is yes. Raises PipelineError without."""
    if not sys.stdin.isatty():
        raise PipelineError(
            "nothing was removed, as there is no terminal to ask at; FORCE=1 removes without a "
            "question"
        )
    print("remove these? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:  # Ctrl-D leaves the cursor in the line
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _hide(context: Context, folder: Path) -> Path:
    """Delete a run's submission, and hide its folder, which takes longer to delete."""
    for path in _submission_files(context, folder):
        path.unlink(missing_ok=True)
    return hide(folder)
