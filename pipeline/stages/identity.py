"""What makes two runs the same: equal settings, data, split, libraries and code.

Code counts without comments and docstrings, and of the networks only the recipe's own with what it
uses. So a run is found again, and an interrupted one continued, after an edit that cannot change
its numbers.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.provenance import hash_of

PACKAGE = Path(__file__).parents[1]

ENTRY_POINTS = (
    "pipeline.data.dataset",
    "pipeline.data.split",
    "pipeline.executors.worker",
    "pipeline.networks.registry",
    "pipeline.prediction.ensemble",
)
"""The modules whose results are a run's numbers. The modules that they import count too."""

NOT_COUNTED = {
    "pipeline.common": "errors, files and messages",
    "pipeline.recipe": "settings, which are part of the identity themselves",
    "pipeline.runs": "the record",
    "pipeline.data.csv_rows": "errors in damaged files",
    "pipeline.training.events": "what is reported",
    "pipeline.training.reporter": "what is reported",
    "pipeline.networks": "see `network_code`; its __init__ only lists names",
}
"""Modules and rooms that decide no number, with the reason."""


def code_fingerprint(network: str, source: str | None = None) -> str:
    """Return the SHA-256 of the code that decides the numbers of a run with this network.

    `network` is a registered name, `source` the text of a network file of one's own, None where
    the package has the network. Raises PipelineError for an unknown network or a file with a
    syntax error.
    """
    code = {name: _dump(_parse(path)) for name, path in counted_modules().items()}
    if source is None:
        code.update(network_code(network))
    else:
        code["network.file"] = _dump(parse_source(source))
    return hash_of(code)


def parse_source(source: str) -> ast.Module:
    """Return the syntax tree of a network file of one's own. Raises PipelineError."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise PipelineError(
            f"network.file: not valid Python ({str(error).splitlines()[0]}); mend the file"
        ) from None


def counted_modules() -> dict[str, Path]:
    """Return the modules that decide numbers, by dotted name, except those of the networks."""
    counted: dict[str, Path] = {}
    waiting = list(ENTRY_POINTS)
    while waiting:
        name = waiting.pop()
        if name in counted or not _counts(name):
            continue
        counted[name] = _path(name)
        waiting += _imported_modules(counted[name])
    return dict(sorted(counted.items()))


def network_code(name: str) -> Mapping[str, str]:
    """Return the builder of a network and all that it uses of the package, each as one entry.

    Raises PipelineError for a name that no module in networks/ registers.
    """
    builders = _builders()
    if name not in builders:
        raise PipelineError(
            f"recipe key network.name is {name!r}; it must be one of {', '.join(sorted(builders))}"
        )
    module, function = builders[name]
    return dict(_definitions(module, function, set()))


def _counts(name: str) -> bool:
    if any(name == one or name.startswith(f"{one}.") for one in NOT_COUNTED):
        return name.startswith("pipeline.networks.") and name not in _network_modules()
    return True


def _network_modules() -> set[str]:
    """Return the modules that register networks."""
    return {module for module, _ in _builders().values()}


@cache
def _builders() -> dict[str, tuple[str, str]]:
    """Return the module and the function of every network, by the name it is registered under."""
    builders = {}
    for path in sorted((PACKAGE / "networks").glob("*.py")):
        functions = (one for one in _parse(path).body if isinstance(one, ast.FunctionDef))
        for function, decorator in ((f, d) for f in functions for d in f.decorator_list):
            match decorator:
                case ast.Call(func=ast.Name(id="register"), args=[ast.Constant(value=name)]):
                    builders[str(name)] = (f"pipeline.networks.{path.stem}", function.name)
    return builders


def _definitions(module: str, name: str, seen: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the definition of a module's name, and those of all names that it uses."""
    definition = _bindings(module).get(name)
    if definition is None or (module, name) in seen:
        return
    seen.add((module, name))
    if isinstance(definition, ast.ImportFrom) and (definition.module or "").startswith("pipeline"):
        yield from _definitions(str(definition.module), name, seen)
        return
    yield f"{module}.{name}", _dump(definition)
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            yield from _definitions(module, node.id, seen)


@cache
def _bindings(module: str) -> dict[str, ast.stmt]:
    """Return the statements of a module that bind names, by those names."""
    bindings: dict[str, ast.stmt] = {}
    for node in _parse(_path(module)).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bindings[name] = node
            case ast.Assign(targets=targets):
                names = [part.id for part in targets if isinstance(part, ast.Name)]
                bindings.update(dict.fromkeys(names, node))
            case ast.AnnAssign(target=ast.Name(id=name)):
                bindings[name] = node
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    bindings[alias.asname or alias.name.partition(".")[0]] = node
    return bindings


def _imported_modules(path: Path) -> list[str]:
    """Return the modules of this package that a module imports, inside functions too."""
    modules = []
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in modules if name.startswith("pipeline.") and _exists(name)]


def _exists(name: str) -> bool:
    return _path(name).is_file()


def _path(name: str) -> Path:
    """Return a module's file. A package has its `__init__.py`."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _dump(tree: ast.AST) -> str:
    """Return the code as text without comments, docstrings and line numbers."""
    return ast.dump(_WithoutDocstrings().visit(ast.parse(ast.unparse(tree))))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes statements that are only a string: docstrings, also those of constants."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text_only = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text_only else node
