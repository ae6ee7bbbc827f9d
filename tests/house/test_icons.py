"""Every icon that a page names is in the icon set: a wrong name would fail the page, and only when it is shown."""

import re
from collections.abc import Iterator

import pytest
from lucide.templatetags.lucide import lucide

from apps.core.looks import LOOKS
from apps.library.evidence import KINDS, kind_of
from tests.house.sources import read_templates

NAMES = (
    re.compile(r"""\{%\s*lucide\s+["']([\w-]+)["']"""),
    re.compile(r"""\sicon=["']([\w-]+)["']"""),
    re.compile(r"""\{%\s*rail_link\s+"[^"]+"\s+"([\w-]+)\""""),
)


def find_icons() -> Iterator[str]:
    for text in read_templates().values():
        for pattern in NAMES:
            yield from pattern.findall(text)
    yield from (look.icon for look in LOOKS.values())
    yield from (kind.icon for kind in [*KINDS.values(), kind_of("a check that nobody knows")])


@pytest.mark.parametrize("name", sorted(set(find_icons())))
def test_every_icon_is_in_the_set(name: str) -> None:
    assert "<svg" in lucide(name)
