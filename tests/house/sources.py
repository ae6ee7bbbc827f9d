"""Our own source files, parsed once."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("apps", "worker", "controlplane", "tests")


@dataclass(frozen=True)
class Source:
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@cache
def read_sources() -> tuple[Source, ...]:
    """Every Python file of ours but generated migrations."""
    paths = [ROOT / "manage.py"]
    for room in ROOMS:
        paths += [path for path in sorted((ROOT / room).rglob("*.py")) if "migrations" not in path.parts]
    return tuple(Source(path, text := path.read_text(), ast.parse(text)) for path in paths)


@cache
def read_templates() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "templates").rglob("*.html"))}
