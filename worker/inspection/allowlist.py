"""The exact list of names a pickle or a skops file may mention, and what may be done with each.

``allowlist.txt`` holds one ``module:name`` a line, followed by its roles:

    new     an instance may be made without calling anything but ``__new__``
    call    it may be called (extension types that can only be made that way, and reviewed functions)
    value   it may be handed around, but neither made nor called

The file is generated from the installed scikit-learn; how is told in
``tests/worker/inspection/generate_allowlist.py``. Names that could read files, import, look up attributes or run
what they are given are not in it, whatever a model needs.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

NEW, CALL, VALUE = "new", "call", "value"

Allowed = Mapping[str, frozenset[str]]

# Names that must never be on the list, whatever a model carries. rv_continuous and its kin run a text of their
# state when they are opened (scipy/stats/_distn_infrastructure.py, ``_attach_argparser_methods``); a partial or an
# attribute lookup turns harmless names into any call; datasets are fetched; the rest reads files.
NEVER = tuple(
    """
    builtins:getattr builtins:eval builtins:exec builtins:compile builtins:open builtins:__import__ functools: operator:
    _operator: importlib os: posix: nt: sys: subprocess: pathlib: io: _io: numpy:load numpy:fromfile numpy:memmap
    numpy:genfromtxt numpy:loadtxt numpy:fromregex numpy:DataSource numpy:vectorize numpy:frompyfunc
    numpy:apply_along_axis numpy.lib numpy.f2py numpy.testing numpy.ctypeslib scipy.stats sklearn.datasets
    sklearn.externals sklearn.utils.fixes sklearn.utils._testing joblib: joblib.memory
    """.split()  # noqa: SIM905 - a readable block of names
)

_FILE = Path(__file__).with_name("allowlist.txt")


@cache
def load() -> Allowed:
    """Every allowed ``module:name`` with its roles."""
    return parse(_FILE.read_text("utf-8"))


def parse(text: str) -> Allowed:
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {name: frozenset(roles) for name, *roles in lines}
