"""What makes two runs the same: equal settings, data, split, libraries and code.

Code counts without comments and docstrings, and of the networks only the recipe's own with what it
uses. So a run is found again, and an interrupted one continued, after an edit that cannot change
its numbers.
"""

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.provenance import hash_of

PACKAGE = Path(__file__).parents[1]

ENTRY_POINTS = (
    "pipeline.data.dataset",
    "pipeline.data.split",
    "pipeline.executors.serial",
    "pipeline.executors.worker",
    "pipeline.networks.registry",
    "pipeline.prediction.ensemble",
)
"""The modules whose results are a run's numbers. The modules that they import count too."""

NOT_COUNTED = {
    "pipeline.common": "errors, files and messages",
    "pipeline.networks.__init__": "a list of names",
    "pipeline.recipe": "settings, which are part of the identity themselves",
    "pipeline.runs": "the record",
    "pipeline.training.events": "what is reported",
    "pipeline.training.reporter": "what is reported",
}
"""Modules and rooms that decide no number, with the reason. Networks count one by one."""


def code_fingerprint(network: str, source: str | None = None, package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the code that decides the numbers of a run with this network.

    `network` is a registered name. `source` is the text of a network file of one's own, None where
    the package has the network. `package` is the folder of the code. Raises PipelineError for an
    unknown network, or a file that is not Python.
    """
    tree = SourceTree(package)
    code = {module: _dump(tree.parse(module)) for module in tree.counted_modules()}
    if source is None:
        code.update(tree.network_code(network))
    else:
        code["network.file"] = _dump(_parse_own(source))
    return hash_of(code)


def _parse_own(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise PipelineError(
            f"network.file: not valid Python ({str(error).splitlines()[0]}); mend the file"
        ) from None


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

    def counted_modules(self) -> list[str]:
        """Return the names of all modules that decide numbers, except those of the networks."""
        counted: set[str] = set()
        waiting = list(ENTRY_POINTS)
        while waiting:
            module = waiting.pop()
            if module not in counted and self._counts(module):
                counted.add(module)
                waiting += self._imports(module)
        return sorted(counted)

    def network_code(self, name: str) -> dict[str, str]:
        """Return the builder of a network and all that it uses of the package, as text by name.

        Raises PipelineError for a name that no module in networks/ registers.
        """
        if name not in self._builders:
            names = ", ".join(sorted(self._builders))
            raise PipelineError(f"recipe key network.name is {name!r}; it must be one of {names}")
        module, function = self._builders[name]
        return dict(self._definitions(module, function, set()))

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

    def _imports(self, module: str) -> list[str]:
        """Return the modules of the package that a module imports, inside functions too."""
        names: list[str] = []
        for node in ast.walk(self.parse(module)):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        own = [name for name in names if name.startswith(f"{self._package.name}.")]
        packages = [f"{name}.__init__" for name in own if self._path(f"{name}.__init__").is_file()]
        return [name for name in own if self._path(name).is_file()] + packages

    def _definitions(
        self, module: str, name: str, seen: set[tuple[str, str]]
    ) -> Iterator[tuple[str, str]]:
        """Yield the definition of a module's name, and those of all names that it uses."""
        definition = self._bindings(module).get(name)
        if definition is None or (module, name) in seen:
            return
        seen.add((module, name))
        source = definition.module if isinstance(definition, ast.ImportFrom) else None
        if source and source.startswith(f"{self._package.name}."):
            yield from self._definitions(source, name, seen)
            return
        yield f"{module}.{name}", _dump(definition)
        for node in ast.walk(definition):
            if isinstance(node, ast.Name):
                yield from self._definitions(module, node.id, seen)

    def _bindings(self, module: str) -> dict[str, ast.stmt]:
        """Return the statements at a module's top level, by the names that they bind."""
        bindings: dict[str, ast.stmt] = {}
        for node in self.parse(module).body:
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

    def _path(self, module: str) -> Path:
        return self._package.parent.joinpath(*module.split(".")).with_suffix(".py")


def _dump(tree: ast.AST) -> str:
    """Return the code as text without comments, docstrings and line numbers."""
    return ast.dump(_WithoutDocstrings().visit(ast.parse(ast.unparse(tree))))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes statements that are only a string: docstrings, also those of constants."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text_only = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text_only else node
