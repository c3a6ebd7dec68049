"""What keeps a run's identity and what changes it."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline import networks
from pipeline.common.errors import PipelineError
from pipeline.stages import identity
from pipeline.stages.identity import SourceTree, code_fingerprint

UNUSED_NETWORK = '''

@register("unused")
def unused() -> Layers:
    """A network that no recipe uses."""
    return [layers.Flatten(), output()]
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's code that a test may edit."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(identity.PACKAGE, tmp_path / "pipeline", ignore=ignored))


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace the one place in a file that fits `pattern`."""
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{pattern} stands {count} times in {path}"
    path.write_text(text)


HARMLESS = {
    "a comment": ("training/loop.py", r"^def train_member", "# A comment.\ndef train_member"),
    "a docstring": ("training/loop.py", r'^    """Train one member', '    """Teach one member'),
    "the docstring of a constant": (
        "training/batches.py",
        r'^"""Rows per step',
        '"""Rows, per step',
    ),
    "the docstring of the network": (
        "networks/batch_norm_cnns.py",
        r'^    """(The notebook.s)',
        r'    """New words. \1',
    ),
    "an error message": ("common/errors.py", r'_end\("interrupted"', '_end("stopped"'),
    "another network": ("networks/tutorials.py", r"layers\.Dense\(50\)", "layers.Dense(51)"),
    "a network of the same module": (
        "networks/batch_norm_cnns.py",
        r"layers\.Conv2D\(16, 3",
        "layers.Conv2D(17, 3",
    ),
    "an unused new network": ("networks/tutorials.py", r"\Z", UNUSED_NETWORK),
    "a table": ("evaluation/comparison/words.py", r'f"\{value:\.5f\}"', 'f"{value:.4f}"'),
}

DECIDING = {
    "a constant of augmentation": ("training/augmentation.py", r"height / 2 - 0\.5", "height / 2"),
    "which checkpoints are reported": (
        "training/reporter.py",
        r"list\(checkpoints\.kept\)",
        "list(checkpoints.kept)[:1]",
    ),
    "which split a member gets": (
        "executors/queue.py",
        r"self\._splits\[member\.fold\]",
        "self._splits[0]",
    ),
    "the training loop": ("training/loop.py", r"shuffle=False", "shuffle=True"),
    "the order of rows": (
        "training/batches.py",
        r"\[seed, member, epoch\]\)",
        "[seed, epoch, member])",
    ),
    "the network's builder": (
        "networks/batch_norm_cnns.py",
        r"layers\.Conv2D\(192, 3",
        "layers.Conv2D(193, 3",
    ),
    "what the builder calls": (
        "networks/batch_norm_cnns.py",
        r"return \[layer, layers\.BatchNormalization\(\), ",
        "return [layer, layers.BatchNormalization(momentum=0.9), ",
    ),
    "the output layer": ("networks/registry.py", r'activation="softmax"', 'activation="sigmoid"'),
    "how pixels are scaled": (
        "networks/registry.py",
        r"PIXEL_DIVISOR = float\(SPEC\.highest_pixel\)",
        "PIXEL_DIVISOR = 256.0",
    ),
    "a fast layer": ("networks/fast_layers.py", r"^LARGEST_MAP = 8", "LARGEST_MAP = 9"),
    "the split": ("data/split.py", r"data_fingerprint, 1 / folds", "data_fingerprint, 2 / folds"),
    "a constant of prediction": ("prediction/ensemble.py", r"^DOUBT = 0\.25", "DOUBT = 0.3"),
    "which rows a member trains on": (
        "executors/tasks.py",
        r"select\(labelled, split\.train_rows\)",
        "select(labelled, split.validation_rows)",
    ),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_cannot_change_a_number_keeps_the_identity(change: str, package: Path) -> None:
    before = code_fingerprint("bn_cnn", package=package)
    assert before == code_fingerprint("bn_cnn"), "a copy is the same code"
    name, pattern, replacement = HARMLESS[change]
    edit(package / name, pattern, replacement)
    assert code_fingerprint("bn_cnn", package=package) == before


@pytest.mark.parametrize("change", DECIDING)
def test_what_may_change_a_number_changes_the_identity(change: str, package: Path) -> None:
    before = code_fingerprint("bn_cnn", package=package)
    name, pattern, replacement = DECIDING[change]
    edit(package / name, pattern, replacement)
    assert code_fingerprint("bn_cnn", package=package) != before


CONSTANTS = {
    "a tuple": ("WIDTH, DEPTH = 256, 2", "WIDTH, DEPTH = 25, 2"),
    "a change in place": ("WIDTH = 1\nWIDTH += 1", "WIDTH = 1\nWIDTH += 9"),
    "a condition": ("WIDTH = 1\nif True:\n    WIDTH = 2", "WIDTH = 1\nif True:\n    WIDTH = 3"),
    "a side effect": ("WIDTH = 1\nprint(1)", "WIDTH = 1\nprint(2)"),
}


@pytest.mark.parametrize("form", CONSTANTS)
def test_constants_of_the_network_count_in_every_form(form: str, package: Path) -> None:
    module = package / "networks" / "tutorials.py"
    edit(module, r"layers\.Dense\(50\)", "layers.Dense(WIDTH)")
    text, fingerprints = module.read_text(), set()
    for constants in CONSTANTS[form]:
        module.write_text(f"{text}\n\n{constants}\n")
        fingerprints.add(code_fingerprint("mlp_50", package=package))
    assert len(fingerprints) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "from pipeline.networks.sizes import SIZE as WIDTH",
        "from .sizes import SIZE as WIDTH",
        "from pipeline.networks import INPUT_SHAPE, sizes\nWIDTH = (INPUT_SHAPE, sizes.SIZE)[1]",
    ],
)
def test_what_the_network_imports_counts(statement: str, package: Path) -> None:
    sizes, module = package / "networks" / "sizes.py", package / "networks" / "tutorials.py"
    edit(module, r"layers\.Dense\(50\)", "layers.Dense(WIDTH)")
    edit(module, r"^from keras import layers$", f"from keras import layers\n{statement}")
    fingerprints = set()
    for size in (50, 51):
        sizes.write_text(f"SIZE = {size}\n")
        fingerprints.add(code_fingerprint("mlp_50", package=package))
        fingerprints.add(code_fingerprint("mlp_256", package=package))
    assert len(fingerprints) == 3, "mlp_256 does not use it"


def test_a_new_module_that_training_imports_counts(package: Path) -> None:
    (package / "training" / "extra.py").write_text("FACTOR = 1\n")
    edit(
        package / "training" / "batches.py",
        r"^import math$",
        "import math\n\nimport pipeline.training.extra",
    )
    before = code_fingerprint("bn_cnn", package=package)
    (package / "training" / "extra.py").write_text("FACTOR = 2\n")
    assert code_fingerprint("bn_cnn", package=package) != before


def test_the_code_names_the_networks_of_the_registry() -> None:
    tree = SourceTree(identity.PACKAGE)
    for name in networks.names():
        assert tree.network_code(name)
    message = f"network.name is 'vgg'; it must be one of {', '.join(networks.names())}"
    with pytest.raises(PipelineError, match=re.escape(message)):
        code_fingerprint("vgg")


def test_no_reason_is_out_of_date() -> None:
    for name in identity.NOT_COUNTED:
        path = identity.PACKAGE.parent.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
