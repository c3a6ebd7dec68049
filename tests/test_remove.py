"""make remove: what goes, what is kept because something needs it, and a kill in the middle."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.ledger import Ledger
from pipeline.runs import Run, RunStore
from pipeline.runs.removal import delete, hide, remove_leftovers
from pipeline.stages.context import Context
from pipeline.stages.remove import remove
from pipeline.stages.request import Request
from tests.alone import average_record, training_record
from tests.commands import REPOSITORY, plain_environment

KERNEL = {"owner": "somebody", "slug": "run-kernel", "version": 1, "members": [0], "hours": 1}


class Site:
    """A folder with runs and submissions, and what was reported."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = RunStore(root / "runs")
        self.lines: list[str] = []

    def make(self, name: str, *parents: str, **changes: object) -> Run:
        """Make a run, an average if it has parents, with a submission."""
        changes = {"status": "done", **changes}
        if parents:
            run = self.store.create(average_record(name, parents=parents, **changes))
        else:
            run = self.store.create(training_record(name, **changes))
        for suffix in (".csv", ".png"):
            path = self.root / "submissions" / f"{name}{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * 1_000)
        return run

    def remove(self, names: str, also: str = "", force: bool = True) -> None:
        request = Request.parse("remove", run=names, force=force)
        remove(Context(self.root, request, self.lines.append), also)

    def files(self) -> set[str]:
        """Return what is in runs/ and submissions/, but for locks."""
        folders = [self.root / name for name in ("runs", "submissions")]
        paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        return {str(one.relative_to(self.root)) for one in paths if not one.name.endswith(".lock")}

    def of(self, *names: str) -> set[str]:
        """Return the files that runs of these names have."""
        return {
            path
            for name in names
            for path in (f"runs/{name}", f"submissions/{name}.csv", f"submissions/{name}.png")
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_run_goes_with_its_submission_and_nothing_else(site: Site) -> None:
    outside = site.root / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    for name in ("first-a", "first-b", "second"):
        site.make(name)
    (site.store.folder / "second" / "link").symlink_to(outside)
    site.remove("second first-a second")
    assert site.files() == site.of("first-b")
    assert (outside / "kept").exists()
    listed, done = site.lines[:-1], site.lines[-1]
    assert [line.split()[0] for line in listed] == [
        *(str(site.root / path) for path in sorted(site.of("second"))),
        *(str(site.root / path) for path in sorted(site.of("first-a"))),
    ]
    assert all(line.endswith(" kB") for line in listed)
    assert done.startswith("removed 2 runs, ")


def test_what_is_not_one_run_removes_nothing(site: Site) -> None:
    for name in ("first-a", "first-b"):
        site.make(name)
    for names in ("first", "first-a none", "first-a ..", "first-a runs", "../submissions"):
        with pytest.raises(PipelineError, match="RUN is"):
            site.remove(names)
    with pytest.raises(PipelineError, match="RUN is left out; make remove takes"):
        site.remove("")
    with pytest.raises(PipelineError, match=r"ALSO is 'avraged' \(did you mean averaged\?\); it"):
        site.remove("first-a", also="avraged")
    assert site.files() == site.of("first-a", "first-b")


def test_a_run_that_averages_need_goes_with_them_or_by_a_word(site: Site) -> None:
    site.make("a")
    site.make("b")
    site.make("ab", "a", "b")
    site.make("abb", "ab", "b")
    with pytest.raises(PipelineError, match=r"run a is needed by ab, abb, which cannot be made"):
        site.remove("b a")
    with pytest.raises(PipelineError, match=r"run a is needed by abb, which"):
        site.remove("a ab")
    assert site.files() == site.of("a", "b", "ab", "abb")
    site.remove("abb")
    site.remove("a", also="submitted averaged")
    assert site.files() == site.of("b", "ab")
    site.remove("b ab")
    assert not site.files()


def test_a_run_in_the_ledger_is_kept_but_for_a_word(site: Site) -> None:
    site.make("a")
    site.make("b")
    ledger = Ledger(site.root / "submissions" / "ledger.csv")
    ledger.begin("b", "0" * 64, "practice", "a message")
    with pytest.raises(PipelineError, match=r"run b was submitted: .*ledger.csv has its scores"):
        site.remove("a b", also="averaged kernel")
    assert site.files() == {*site.of("a", "b"), "submissions/ledger.csv"}
    site.remove("a b", also="submitted")
    assert site.files() == {"submissions/ledger.csv"}
    site.store.create(training_record("ledger", status="done"))
    site.remove("ledger", also="submitted")
    assert ledger.uploads(), "the ledger is no run's submission"


def test_a_run_that_a_kernel_trains_is_kept_but_for_a_word(site: Site) -> None:
    members = [{"index": 0, "seed": 0}]
    site.make("ended", members=members, kernels=[{**KERNEL, "ended": "complete"}])
    site.make("open", members=members, kernels=[KERNEL])
    with pytest.raises(PipelineError, match=r"run open is trained by the kernel https://.*stop"):
        site.remove("ended open")
    site.remove("ended")
    site.remove("open", also="kernel")
    assert not site.files()


def test_a_run_that_a_process_works_on_is_kept(site: Site) -> None:
    site.make("a")
    working = site.make("b")
    with working.held():
        for also in ("", "averaged submitted kernel"):
            with pytest.raises(PipelineError, match="run b is being worked on by process"):
                site.remove("a b", also=also)
        assert site.files() == site.of("a", "b")
    site.remove("a b")
    assert not site.files()


def test_an_unreadable_run_goes_by_its_exact_name(site: Site) -> None:
    site.make("damaged-1").folder.joinpath("run.json").write_text("{")
    lost = site.store.folder / "lost" / "members"
    lost.mkdir(parents=True)
    for name in ("damaged", "los"):
        with pytest.raises(PipelineError):
            site.remove(name)
    site.remove("damaged-1 runs/lost/")
    assert not site.files()


def test_a_link_to_a_run_is_not_followed(site: Site) -> None:
    run = site.make("a")
    elsewhere = site.root / "elsewhere"
    os.replace(run.folder, elsewhere)
    run.folder.symlink_to(elsewhere)
    with pytest.raises(PipelineError, match="a is a link to another place, where make remove"):
        site.remove("a")
    assert (elsewhere / "run.json").exists()
    (site.store.folder / ".removed-0").symlink_to(elsewhere)
    assert remove_leftovers(site.store.folder) == [site.store.folder / ".removed-0"]
    assert (elsewhere / "run.json").exists()


def test_averages_go_before_the_runs_that_they_need(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second, (name, *parents) in enumerate((["z"], ["b"], ["a", "z", "b"])):
        run = site.make(name, *parents)
        run.record.created_at = f"2026-01-01T00:00:0{9 - second}+00:00"  # the clock went back
        run.save()
    moments: list[str] = []

    def note(kind: str, path: Path) -> Path:
        moments.append(f"{kind} {path.name.rpartition('-')[2]}")
        return hide(path) if kind == "hide" else path

    monkeypatch.setattr("pipeline.stages.remove.hide", lambda path: note("hide", path))
    monkeypatch.setattr("pipeline.stages.remove.delete", lambda path: note("delete", path))
    site.remove("b z a")
    assert moments[0] == "hide a"
    assert sorted(moments[1:3]) == ["hide b", "hide z"], "all are hidden before any is deleted"
    assert sorted(moments[3:]) == ["delete a", "delete b", "delete z"]


def test_a_run_is_removed_where_no_file_can_grow(site: Site) -> None:
    site.make("large")
    words = f"-m pipeline remove --run large --force --root {site.root}"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; exec {sys.executable} -B {words}"],
        cwd=REPOSITORY,
        env=plain_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not site.files()


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from pipeline.runs.removal import delete, hide

def stop(path, ignore_errors):
    (path / "run.json").unlink()
    os.kill(os.getpid(), signal.SIGKILL)

shutil.rmtree = stop
delete(hide(Path(sys.argv[1])))
"""


def test_what_a_killed_removal_leaves_is_hidden_and_the_next_one_deletes_it(site: Site) -> None:
    killed, other = site.make("killed"), site.make("other")
    killed.member_folder(0).mkdir(parents=True)
    command = [sys.executable, "-c", KILLED, str(killed.folder)]
    done = subprocess.run(command, cwd=REPOSITORY, env=plain_environment())
    assert done.returncode == -signal.SIGKILL
    (left,) = site.store.folder.glob(".removed-*")
    assert (left / "members" / "0").is_dir()
    store = RunStore(site.store.folder, pytest.fail)
    assert [run.id for run in store.all()] == ["other"]
    with pytest.raises(PipelineError, match="RUN is 'killed': no run begins with it"):
        site.remove("killed")
    assert not left.exists(), "also a refused command deletes what is left"
    assert delete(hide(other.folder)) is None
    assert [path.name for path in site.store.folder.iterdir()] == [".lock"]


def at_a_terminal(site: Site, answer: str) -> str:
    """Run the command on a pseudo-terminal, give it an answer, and return what it shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "remove", "--run", "a"]
    with subprocess.Popen(
        command, cwd=site.root, env=plain_environment(), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = ""
        with os.fdopen(ours, "r+b", buffering=0) as terminal, suppress(OSError):  # the end
            while part := terminal.read(10_000):
                shown += part.decode()
                if part.endswith(b"[y/N] "):
                    terminal.write(answer.encode())
    assert process.returncode == 0, shown
    return shown


@pytest.mark.parametrize(
    ("answer", "removed"), [("y\n", True), ("YES\n", True), ("\n", False), ("\4", False)]
)
def test_at_a_terminal_it_asks_first(site: Site, answer: str, removed: bool) -> None:
    site.make("a")
    shown = at_a_terminal(site, answer)
    assert "runs/a" in shown
    assert "remove these? [y/N] " in shown
    assert ("nothing was removed; FORCE=1 removes without a question" in shown) is not removed
    assert site.files() == (set() if removed else site.of("a"))


def test_without_a_terminal_force_is_needed(site: Site) -> None:
    site.make("a")
    command = [sys.executable, "-m", "pipeline", "remove"]

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**plain_environment(), "RUN": "a", **variables}
        return subprocess.run(
            command, cwd=site.root, env=environment, input="y\n", capture_output=True, text=True
        )

    done = run()
    assert done.returncode == 1
    assert done.stderr == (
        "error: nothing was removed, as there is no terminal to ask at; FORCE=1 removes without a "
        "question\n"
    )
    assert site.files() == site.of("a")
    assert run(FORCE="1").returncode == 0
    assert not site.files()
