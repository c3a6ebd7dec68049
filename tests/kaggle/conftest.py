"""A running stand-in that the process of the tests sees as Kaggle."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kaggle.bench import Bench, enter
from tests.kaggle.files import GOOD_ZIP
from tests.kaggle.site import SHORT, SMALL, Site, only_run
from tests.kaggle_kernels import KernelFaults, Kernels
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


@pytest.fixture
def site(tmp_path: Path, small_digits: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A stand-in that this process sees as Kaggle, asked more often than Kaggle is."""
    home = tmp_path / "home"
    home.mkdir()
    for module, name in SHORT:
        monkeypatch.setattr(module, name, 0.2)
    with StandIn() as server:
        server.kernels = Kernels(tmp_path / "kernels", small_digits)
        enter(monkeypatch, server.environment(home))
        yield Site(server, server.kernels, tmp_path / "root", small_digits)
        assert server.count("CONNECT") == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Iterator[Site]:
    """A run whose two members were trained in one kernel, which is still there."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch, StandIn() as server:
        server.kernels = Kernels(folder / "kernels", small_digits)
        enter(patch, server.environment(folder / "home"))
        site = Site(server, server.kernels, folder / "root", small_digits)
        site.train(site.run(f"{SMALL} members.seeds=2"))
        yield site


@pytest.fixture
def again(trained: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The same stand-in, and the run as it was when its kernel had been pushed."""
    enter(monkeypatch, trained.server.environment(tmp_path))
    for module, name in SHORT:
        monkeypatch.setattr(module, name, 0.2)
    site = Site(trained.server, trained.kernels, tmp_path / "root", trained.digits)
    shutil.copytree(trained.root, site.root)
    run = only_run(site)
    shutil.rmtree(run.folder / "members")
    for name in ("validation.npz", "test.npz"):
        (run.folder / name).unlink()
    run.training.kernels[-1].ended = ""
    for member in run.record.members:
        member.status, member.checkpoints, member.epochs = "pending", [], 0
    run.record.status, run.record.sha256, run.record.scores = "interrupted", {}, None
    run.save()
    site.kernels.faults = KernelFaults()
    yield site
    assert len(site.kernels.pushes) == 1
