"""Event files for TensorBoard: the epochs of each member, and the pictures.

A member's file is written anew from its history when this process begins with the member, and then
grows by one epoch at a time. So no epoch is in it twice, and a TensorBoard that is open sees each
one as it ends. TensorBoard's own writers would import TensorFlow; its record format does not.
"""

import shutil
import time
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.evaluation import png_files
from pipeline.runs import Member, Run
from pipeline.tracking.epochs import Epoch, epochs_of
from pipeline.training.events import Began, EpochEnded, Event, OnEvent

FOLDER = "tensorboard"
"""In a run's folder: member-<k>/, numbered as members/<k>/ is, and pictures/."""

SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def check_installed() -> None:
    """Raise PipelineError unless the package tensorboard is installed."""
    if not find_spec("tensorboard"):
        raise PipelineError(
            "TENSORBOARD is 1, but the package tensorboard is not installed; make setup "
            "TENSORBOARD=1 installs it, or leave TENSORBOARD out"
        )


class EventFile:
    """The only event file in `folder`. What was there before is deleted."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Record
        from tensorboard.summary.writer.record_writer import RecordWriter

        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir()
        self.epochs = 0
        self._records = RecordWriter((folder / f"events.out.tfevents.{time.time_ns()}").open("wb"))
        self._records.write(
            Record(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
        )

    def add_epochs(self, epochs: list[Epoch]) -> None:
        """Add those of a member's epochs that are not in the file, which has its first ones."""
        for epoch in epochs[self.epochs :]:
            values = [
                {"tag": name, "simple_value": epoch.metrics[name]}
                for name in SHOWN
                if name in epoch.metrics
            ]
            self._add(epoch.ended, epoch.number, values)
            self.epochs = epoch.number

    def add_picture(self, name: str, path: Path) -> None:
        """Add a PNG file."""
        content = path.read_bytes()
        with Image.open(path) as picture:
            width, height = picture.size
        image = {"encoded_image_string": content, "width": width, "height": height, "colorspace": 4}
        self._add(path.stat().st_mtime, 0, [{"tag": name, "image": image}])

    def _add(self, seconds: float, step: int, values: list[dict[str, object]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Record

        record = Record(wall_time=seconds, step=step, summary={"value": values})
        self._records.write(record.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._records.close()


class EventFiles:
    """The event files of a run, in its folder."""

    def __init__(self, submissions: Path, report: Report) -> None:
        """Take the folder of the submissions, where the run's heatmap is."""
        self._submissions, self._report = submissions, report
        self._files: dict[int, EventFile] = {}

    def follow(self, run: Run) -> OnEvent:
        """Return what takes the events of a run in training."""

        def on_event(event: Event) -> None:
            if isinstance(event, Began | EpochEnded):
                anew = isinstance(event, Began)
                self._write(run, run.record.members[event.index], anew)

        return on_event

    def complete(self, run: Run) -> None:
        """Write what this process has not seen: members trained earlier or elsewhere, pictures."""
        members = [] if run.record.parents else run.record.members
        for member in (one for one in members if one.index not in self._files):
            try:
                self._write(run, member, anew=True)
            except ValueError as error:
                self._report(f"TensorBoard does not get member {member.index + 1}: {error}")
        pictures = EventFile(run.folder / FOLDER / "pictures")
        curves = {
            f"curves/member-{index}": path for path, index in png_files.curve_files(run).items()
        }
        files = {
            **curves,
            "mistakes": png_files.mistakes_file(run),
            "confusion": self._submissions / f"{run.id}.png",
        }
        for name, path in files.items():
            if png_files.is_whole(path):
                pictures.add_picture(name, path)
        pictures.close()
        self._report(
            f"wrote {run.folder / FOLDER}; .venv/bin/tensorboard --logdir "
            f"{run.folder.parent} shows it"
        )

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _write(self, run: Run, member: Member, anew: bool) -> None:
        """Bring a member's file up to date with its history. Raises ValueError as `epochs_of`."""
        epochs, index = epochs_of(run, member), member.index
        if anew and index in self._files:
            self._files.pop(index).close()
        if index not in self._files:
            self._files[index] = EventFile(run.folder / FOLDER / f"member-{index}")
        self._files[index].add_epochs(epochs)
