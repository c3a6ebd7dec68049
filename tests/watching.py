"""A watcher for members that a test trains itself."""

from collections.abc import Callable, Mapping

from pipeline.runs import Member


class Watching:
    """Notes what a member tells of itself, and calls `then` with its record each time."""

    def __init__(self, then: Callable[[Member], None] = lambda member: None) -> None:
        self.members: list[Member] = []
        self.epochs: list[int] = []
        self.device = ""
        self._then = then

    def began(self, device: str, epoch: int, steps: int) -> None:
        self.device = device

    def stepped(self, epoch: int, step: int) -> None: ...

    def kept(self, member: Member) -> None:
        self.members.append(member)
        self._then(member)

    def saved(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append(epoch)
