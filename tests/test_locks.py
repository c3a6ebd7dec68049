"""What a process locks, or writes, is its own while it lives, and is free once it is killed."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.common.files import locked, scratch_in, write_text

HOLDER = """
import sys
from pathlib import Path
from pipeline.common.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / ".lock"


def test_a_killed_process_leaves_no_lock(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert holder.stdout
    assert holder.stdout.readline() == "locked\n"
    waits: list[str] = []

    def kill() -> None:
        waits.append("waited")
        holder.kill()

    with locked(path, kill):
        assert waits == ["waited"]
    holder.communicate(timeout=10)
    assert path.read_bytes() == b"", "the empty file stays"
    with locked(path, kill):
        assert waits == ["waited"], "a free lock is taken at once"


WRITER = """
import sys
from pathlib import Path
from pipeline.common.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_wrote_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    target, other = tmp_path / "train-1.csv", tmp_path / ".train-1-mine.csv"
    other.touch()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert writer.stdout
    left = Path(writer.stdout.readline().strip())
    write_text(target, "whole")
    assert left.read_text() == "half", "that of a living process stays"
    writer.kill()
    writer.communicate(timeout=10)
    assert left.exists()
    write_text(target, "new")
    assert sorted(tmp_path.iterdir()) == [other, target]


def test_threads_exclude_each_other(path: Path) -> None:
    waiting, inside = threading.Event(), threading.Event()

    def enter() -> None:
        with locked(path, waiting.set):
            inside.set()

    thread = threading.Thread(target=enter)
    with locked(path):
        thread.start()
        assert waiting.wait(timeout=10)
        assert not inside.wait(timeout=0.3)
    assert inside.wait(timeout=10)
    thread.join()


def test_a_thread_that_locks_twice_gets_an_error(path: Path) -> None:
    with locked(path), pytest.raises(RuntimeError, match="Deadlock"), locked(path):
        pass


def test_scratch_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".scratch-left"
    (left / "folder").mkdir(parents=True)
    with scratch_in(tmp_path) as first:
        assert not left.exists()
        with scratch_in(tmp_path) as second:
            assert first.is_dir()
            assert second.is_dir()
    assert not list(tmp_path.glob(".scratch-*"))
