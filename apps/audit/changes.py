"""Before and after, side by side, name by name."""

import json
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One name's value before and after; None where there was or is none."""

    name: str
    before: str | None
    after: str | None

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


def changes(before: str, after: str) -> list[Change]:
    """What two JSON texts of an entry tell, sorted by name; values are shown as people read them."""
    old, new = _load(before), _load(after)
    names = sorted({*old, *new})
    return [Change(name, _shown(old, name), _shown(new, name)) for name in names]


def _load(text: str) -> dict[str, Any]:
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {"": value}


def _shown(values: dict[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(map(_plain, value))
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) and value else None)
