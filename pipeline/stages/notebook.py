"""The stage `notebook`: a run as a notebook that can be published at Kaggle.

The notebook carries this package and the run's recipe. It trains the recipe anew, shows curves and
confusions, and writes submission.csv. It needs the competition's files, and at Kaggle a GPU.
"""

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline import recipe as recipes
from pipeline.common.errors import PipelineError
from pipeline.common.files import write_text
from pipeline.data.spec import SPEC
from pipeline.executors.kaggle import bundle
from pipeline.recipe import Recipe
from pipeline.runs import NETWORK_FILE, Run, Scores
from pipeline.stages.context import Context

FILE = "notebook.ipynb"

_UNPACK = """\
# The code of the pipeline, packed. The next cells use it.
import base64, io, lzma, tarfile
from pathlib import Path

packed = {payload!r}
code = Path("pipeline-code").resolve()
with tarfile.open(fileobj=io.BytesIO(lzma.decompress(base64.b64decode(packed)))) as file:
    file.extractall(code, filter="data")
print(f"{{len(list(code.rglob('*.py')))}} modules in {{code}}")
"""

_INSTALL = """\
# What the pipeline needs and this machine lacks. TensorFlow and all else stay as they are.
import json, subprocess, sys
from importlib.metadata import PackageNotFoundError, version

packages = json.loads({packages!r})

def is_missing(name):
    try:
        version(name)
    except PackageNotFoundError:
        return True
    return False

missing = [f"{{n}}=={{pin}}" if pin else n for n, pin in packages.items() if is_missing(n)]
if missing:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, *missing], check=True)
print("installed:", ", ".join(missing) or "nothing")
"""

_TRAIN = """\
import os

places = [Path("/kaggle/input"), Path("../input")]
folders = [one / name for one in places for name in ({slug!r}, "competitions/{slug}")]
digits = next((one.resolve() for one in folders if (one / {train!r}).is_file()), None)
assert digits, "add the data of the competition {slug} to this notebook"

command = [sys.executable, "-m", "pipeline", "submission", "--recipe", {recipe!r}]
command += ["--source", str(digits)]
variables = {{**os.environ, "PYTHONUNBUFFERED": "1"}}
with subprocess.Popen(
    command, cwd=code, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
) as process:
    for line in process.stdout:
        print(line, end="")
assert process.returncode == 0, "the lines above say what went wrong"
"""

_CURVES = """\
from IPython.display import Image, display

(run,) = (code / "runs").glob("*/run.json")
for curves in sorted(run.parent.glob("members/*/curves.png"))[:4]:
    display(Image(str(curves)))
"""

_HEATMAP = """\
scores = json.loads(run.read_text())["scores"]
low, high = scores["interval"]
accuracy, rows = scores["validation_accuracy"], scores["validation_rows"]
print(f"validation accuracy {accuracy:.5f} on {rows:,} rows")
print(f"95 % interval {low:.5f} to {high:.5f}")
(heatmap,) = (code / "submissions").glob("*.png")
display(Image(str(heatmap)))
"""

_SUBMISSION = """\
import shutil
import pandas as pd

(csv,) = (path for path in (code / "submissions").glob("*.csv") if path.name != "ledger.csv")
shutil.copy(csv, "submission.csv")
shutil.rmtree(code)  # the output of this notebook is the submission alone
pd.read_csv("submission.csv").head()
"""


def notebook(context: Context) -> Path:
    """Write the notebook of the run that the request names. Return its path.

    Raises PipelineError for several runs, none, an average, and a run without scores.
    """
    run = context.only_run("notebook")
    scores = run.record.scores
    if scores is None:
        raise PipelineError(
            f"run {run.id} has no scores yet; make ensemble RUN={run.id} computes them"
        )
    content = _content(run, scores)
    nbformat.validate(content)
    path = run.folder / FILE
    write_text(path, nbformat.writes(content) + "\n")
    context.report(
        f"wrote {path}; at kaggle.com/code choose New Notebook, File, Import Notebook, add the "
        f"data of {SPEC.slug}, and switch a GPU and the internet on"
    )
    return path


def _content(run: Run, scores: Scores) -> nbformat.NotebookNode:
    """Return the notebook's cells."""
    recipe = run.training.recipe
    text, file = _recipe_file(recipe)
    contents = {file: text.encode()}
    if (source := run.network_source) is not None:
        contents[NETWORK_FILE] = source.encode()
    lock, base = bundle.read_lock(bundle.LOCK), bundle.read_lock(bundle.BASE_LOCK)
    packages = json.dumps(bundle.packages(lock, base))
    hidden = {"_kg_hide-input": True, "jupyter": {"source_hidden": True}}
    cells = [
        new_markdown_cell(_introduction(run, scores)),
        new_markdown_cell(f"## The recipe\n\n```toml\n{text}```"),
        new_markdown_cell("## The code\n\nThe pipeline comes with this notebook."),
        new_code_cell(_UNPACK.format(payload=bundle.pack(contents)), metadata=hidden),
        new_code_cell(_INSTALL.format(packages=packages), metadata=hidden),
        new_markdown_cell("## Training\n\nOne line per epoch, then the checkpoints' mean."),
        new_code_cell(_TRAIN.format(slug=SPEC.slug, train=SPEC.train_file, recipe=file)),
        new_markdown_cell("## Curves\n\nOf four networks at most."),
        new_code_cell(_CURVES),
        new_markdown_cell("## Confusions on the validation rows"),
        new_code_cell(_HEATMAP),
        new_markdown_cell("## The submission"),
        new_code_cell(_SUBMISSION),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content: nbformat.NotebookNode = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return content


def _recipe_file(recipe: Recipe) -> tuple[str, str]:
    """Return the recipe as a file beside the code, and the file's name.

    What concerns the machine that trained the run is left to the one that runs the notebook.
    """
    members = recipe.members.model_copy(update={"gpus": None, "cpus": None, "hours": 3.0})
    recipe = recipe.model_copy(update={"members": members})
    if recipe.network.file is not None:
        network = recipe.network.model_copy(update={"file": NETWORK_FILE})
        recipe = recipe.model_copy(update={"network": network})
    return recipes.as_toml(recipe), f"{recipe.name}.toml"


def _introduction(run: Run, scores: Scores) -> str:
    """Return the first cell: what the notebook does, and what the run has reached."""
    recipe, members = run.training.recipe, run.training.recipe.members
    low, high = scores.interval
    digits = "the same digits" if run.record.source == "kaggle" else "other digits of MNIST"
    networks = "One network" if members.count == 1 else f"{members.count} networks"
    rows = f"{members.folds} folds" if members.folds else "rows that are held out"
    return f"""\
# Digits with the recipe `{recipe.name}`

{networks} of the kind `{recipe.network.name}`, trained with Keras and judged on {rows}. The
probabilities of the kept checkpoints are averaged for the submission.

The run that this notebook repeats, on {digits}, had a validation accuracy of
{scores.validation_accuracy:.5f} on {scores.validation_rows:,} rows (95 % interval {low:.5f} to
{high:.5f}), with TensorFlow {run.record.versions.get("tensorflow", "?")}. Another machine, or
another version, gives slightly other numbers.

The notebook needs the data of the competition, the internet for small packages, and a GPU, or else
some patience.
"""
