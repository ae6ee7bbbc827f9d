"""How code is written here, as far as a program can see it."""

import ast
from collections.abc import Iterator

from tests.house.sources import Source, read_sources, read_templates

FILE_LINES = 400
FUNCTION_LINES = 60
MARKS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
SETS_DJANGO_UP = ("django.setup()", "direct.begin()")
NAMELESS = {"utils", "helpers", "common", "manager", "managers", "handler", "handlers", "misc"}


def test_files_are_short_enough_to_read() -> None:
    long = {source.name: size for source in read_sources() if (size := source.text.count("\n")) > FILE_LINES}
    assert not long, long


def test_functions_are_short_enough_to_read() -> None:
    sizes = {
        f"{source.name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for source in read_sources()
        for node in source.functions()
        if not source.name.startswith("tests/")  # a story may be long
    }
    long = {where: size for where, size in sizes.items() if size > FUNCTION_LINES}
    assert not long, long


def test_views_hold_no_try() -> None:
    views = [source for source in read_sources() if source.name.startswith("apps/") and "views" in source.name]
    tries = [
        f"{source.name}:{node.lineno}"
        for source in views
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Try)
    ]
    assert views
    assert not tries, tries


def test_imports_stand_at_the_top() -> None:
    inner = [where for source in read_sources() if not _has_to_wait(source) for where in find_inner_imports(source)]
    assert not inner, inner


def _has_to_wait(source: Source) -> bool:
    """manage.py imports what is there only once the environment is; a script of the tests, once Django is set up."""
    is_script = source.name.startswith("tests/") and any(words in source.text for words in SETS_DJANGO_UP)
    return source.name == "manage.py" or is_script


def find_inner_imports(source: Source) -> Iterator[str]:
    for function in source.functions():
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{source.name}:{node.lineno}"


def test_nothing_is_left_to_do() -> None:
    texts = {source.name: source.text for source in read_sources()} | read_templates()
    marked = [(name, mark) for name, text in texts.items() for mark in MARKS if mark in text]
    assert not marked, marked


def test_every_package_says_what_lives_in_it() -> None:
    packages = [source for source in read_sources() if source.path.name == "__init__.py"]
    silent = [source.name for source in packages if not ast.get_docstring(source.tree)]
    assert not silent, silent


def test_every_folder_of_the_product_is_a_package() -> None:
    folders = {source.path.parent for source in read_sources() if source.name.startswith(("apps/", "worker/"))}
    open_folders = [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert not open_folders, open_folders


def test_modules_are_named_for_what_they_hold() -> None:
    nameless = [source.name for source in read_sources() if source.path.stem in NAMELESS]
    assert not nameless, nameless
