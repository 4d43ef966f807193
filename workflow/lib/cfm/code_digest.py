"""Digest of the code that a rule runs, so that a stage reruns exactly when what it executes has changed.

Snakemake does not see edits of an imported library, and it does see edits of comments. The digest covers a script and
all modules of `cfm` that it imports, directly or not, over their parsed source without comments and docstrings.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
PACKAGE = "cfm"


def code_digest(script: Path | str, also: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> str:
    """Digest of a script and everything of `cfm` that it imports.

    Parameters
    ----------
    script : path
        The Python file that a rule runs.
    also : names of modules
        Modules that are imported by name at run time and so cannot be seen in the source, such as
        "cfm.tasks.demo" where a configuration names the factory "cfm.tasks.demo:detection".
    without : names of packages
        Packages that this run of the script does not use, such as the codecs that it was not asked for.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        If the script is absent.
    """
    pending = [Path(script).resolve(), *(path for name in also for path in module_files(name))]
    seen: dict[Path, str] = {}
    while pending:
        path = pending.pop()
        if path not in seen:
            seen[path], imports = parsed(path, path.stat().st_mtime_ns)
            used = [name for name in imports if not name.startswith(without)] if without else imports
            pending.extend(file for name in used for file in module_files(name))
    digest = hashlib.sha256()
    for name, source in sorted((path_name(path), source) for path, source in seen.items()):
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()[:16]


def path_name(path: Path) -> str:
    """A name of the file that is the same in every clone."""
    return str(path.relative_to(LIBRARY)) if path.is_relative_to(LIBRARY) else path.name


@cache
def parsed(path: Path, mtime_ns: int) -> tuple[str, tuple[str, ...]]:
    """The digest of a file's code, and the modules of `cfm` that it imports; `mtime_ns` keys the cache."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = tuple(sorted(name for node in ast.walk(tree) for name in imported_names(node)))
    for node in ast.walk(tree):
        strip_docstring(node)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports


def imported_names(node: ast.AST) -> list[str]:
    """Dotted names under `cfm` that an import statement may bind; "from a import b" yields a and a.b."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        names = []
    return [name for name in names if name.split(".")[0] == PACKAGE]


def module_files(name: str) -> list[Path]:
    """The file of a module and those of the packages around it; a name within a module adds none of its own."""
    parts = name.split(".")
    paths = [LIBRARY.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    return [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def strip_docstring(node: ast.AST) -> None:
    """Drop the docstring of a module, class or function node."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
