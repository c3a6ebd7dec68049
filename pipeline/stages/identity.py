"""What makes two runs the same: equal settings, data, split, libraries and code.

Code counts without comments and docstrings, and of the networks only the recipe's own with what it
uses. So many edits that change no number keep a run: it is found again, or continued.
"""

import ast
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.provenance import hash_of
from pipeline.common.text import printable

PACKAGE = Path(__file__).parents[1]

ENTRY_POINTS = (
    "pipeline.data.dataset",
    "pipeline.data.split",
    "pipeline.executors.queue",
    "pipeline.executors.serial",
    "pipeline.executors.worker",
    "pipeline.networks.registry",
    "pipeline.prediction.ensemble",
)
"""The modules that make a run's numbers. The modules that they import count too."""

NOT_COUNTED = {
    "pipeline.common": "errors, files and messages",
    "pipeline.executors.recorder": "writes down what training reports",
    "pipeline.networks.__init__": "only lists names; networks count one by one",
    "pipeline.recipe": "settings, whose values are part of the identity themselves",
    "pipeline.runs": "stores what training reports",
    "pipeline.training.events": "what is reported",
}
"""Modules and rooms that are left out, with the reason. A change of their code is not noticed."""


def code_fingerprint(network: str, source: str | None = None, package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the code that decides the numbers of a run with this network.

    `network` is a registered name. `source` is the text of a network file of one's own, None where
    the package has the network. `package` is the folder of the code. Raises PipelineError for an
    unknown network, or a file that is not Python.
    """
    tree = SourceTree(package)
    if source is None:
        module, imported = tree.network_code(network)
        own = _dump(module)
    else:
        own, imported = _own_code(source), []
    modules = tree.counted_modules([*ENTRY_POINTS, *imported])
    code = {module: _dump(tree.parse(module)) for module in modules}
    return hash_of({**code, "network": own})


def _own_code(source: str) -> str:
    """Return the code of a network file as `_dump` does."""
    try:
        return _dump(ast.parse(source))
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        problem = f"not valid Python ({error.msg})"
    except (RecursionError, MemoryError):  # what Python's parser raises, not a lack of memory
        where, problem = "", "nested too deeply"
    except ValueError as error:  # such as an integer of thousands of digits
        where, problem = "", f"not valid Python ({error})"
    raise PipelineError(f"network.file{where}: {printable(problem)}; mend the file")


class SourceTree:
    """The syntax trees of a package's modules, by their dotted names."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._trees: dict[str, ast.Module] = {}

    def parse(self, module: str) -> ast.Module:
        """Return a module's syntax tree."""
        if module not in self._trees:
            text = self._path(module).read_text(encoding="utf-8")
            self._trees[module] = ast.parse(text)
        return self._trees[module]

    def counted_modules(self, entry_points: Iterable[str] = ENTRY_POINTS) -> list[str]:
        """Return the names of all modules that decide numbers, except those of the networks."""
        counted: set[str] = set()
        waiting = list(entry_points)
        while waiting:
            module = waiting.pop()
            if module not in counted and self._counts(module):
                counted.add(module)
                waiting += self._imports(module, ast.walk(self.parse(module)))
        return sorted(counted)

    def network_code(self, name: str) -> tuple[ast.Module, list[str]]:
        """Return the code of a network, and the modules of the package that it imports.

        The code is its module's, without the definitions that its builder does not reach. Raises
        PipelineError for a name that no module in networks/ registers.
        """
        if name not in self._builders:
            names = ", ".join(sorted(self._builders))
            raise PipelineError(f"recipe key network.name is {name!r}; it must be one of {names}")
        module, function = self._builders[name]
        body, reached, before = self.parse(module).body, {function}, set[str]()
        while reached != before:
            before = set(reached)
            for node in body:
                if _counts_with(node, reached):
                    reached |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        kept = [_only(node, reached) for node in body if _counts_with(node, reached)]
        return ast.Module(kept, type_ignores=[]), self._imports(module, kept)

    def _counts(self, module: str) -> bool:
        excluded = any(f"{module}.".startswith(f"{one}.") for one in NOT_COUNTED)
        return not excluded and module not in {one for one, _ in self._builders.values()}

    @cached_property
    def _builders(self) -> dict[str, tuple[str, str]]:
        """The module and the function of every network, by the name it is registered under."""
        builders = {}
        for path in sorted((self._package / "networks").glob("*.py")):
            module = f"{self._package.name}.networks.{path.stem}"
            functions = [one for one in self.parse(module).body if isinstance(one, ast.FunctionDef)]
            for function, decorator in ((f, d) for f in functions for d in f.decorator_list):
                match decorator:
                    case ast.Call(func=ast.Name(id="register"), args=[ast.Constant(value=name)]):
                        builders[str(name)] = (module, function.name)
        return builders

    def _imports(self, module: str, nodes: Iterable[ast.AST]) -> list[str]:
        """Return the modules of the package that a module's nodes import."""
        names: list[str] = []
        for node in nodes:
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = module.split(".")[: -node.level] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
        own = [name for name in names if name.startswith(f"{self._package.name}.")]
        return [
            name for one in own for name in (one, f"{one}.__init__") if self._path(name).is_file()
        ]

    def _path(self, module: str) -> Path:
        return self._package.parent.joinpath(*module.split(".")).with_suffix(".py")


def _bound_names(node: ast.stmt) -> set[str]:
    """Return the names that a definition or an import binds. Empty for any other statement."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        case ast.Assign(targets=targets):
            parts = [part for target in targets for part in ast.walk(target)]
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            parts = [target]
        case _:
            return set()
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _counts_with(node: ast.stmt, names: set[str]) -> bool:
    """Return whether a statement counts for code that uses `names`."""
    bound = _bound_names(node)
    return not bound or bool(bound & names)


def _only(node: ast.stmt, names: set[str]) -> ast.stmt:
    """Return an import with those of its names alone that are in `names`, else the statement."""
    if isinstance(node, ast.ImportFrom):
        used = [alias for alias in node.names if (alias.asname or alias.name) in names]
        return ast.ImportFrom(node.module, used, node.level)
    return node


def _dump(tree: ast.AST) -> str:
    """Return the code as text without comments, docstrings and line numbers."""
    return ast.dump(_WithoutDocstrings().visit(ast.parse(ast.unparse(tree))))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes statements that are only a string: docstrings, also those of constants."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text_only = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text_only else node
