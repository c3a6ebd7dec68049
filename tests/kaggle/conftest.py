"""A running stand-in that the process of the tests sees as Kaggle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kaggle.bench import Bench, enter
from tests.kaggle.files import GOOD_ZIP
from tests.kaggle_stand_in import StandIn


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A running stand-in that this process sees as Kaggle, signed in with a token."""
    home = tmp_path / "home"
    home.mkdir()
    csv = tmp_path / "run.csv"
    csv.write_text("ImageId,Label\n1,0\n2,1\n3,2\n4,3\n5,4\n")
    hidden = tmp_path / "hidden.csv"
    hidden.write_text("ImageId,Label\n1,0\n2,9\n3,9\n4,9\n5,5\n")
    with StandIn(zip_bytes=GOOD_ZIP, hidden_labels=hidden) as server:
        enter(monkeypatch, server.environment(home))
        yield Bench(server, home, tmp_path / "kaggle", csv)
        # Nothing tried to reach the real service past the stand-in.
        assert server.count("CONNECT") == 0
