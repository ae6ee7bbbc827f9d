"""What a reviewer looks for in a model card, and whether it is there: said under its own heading, or as metadata."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.library import front_matter
from apps.library.metadata import Metadata, read_metadata

ENOUGH = 15  # letters under a heading; Chinese says much in few
MAX_LETTERS = 2000
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$|^(.+)\r?\n(?:=+|-+)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?(?:^\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


class Part(NamedTuple):
    """One thing that a card should say: its name, what belongs there, and how its heading may be called."""

    key: str
    title: str | Promise
    hint: str | Promise
    heading: re.Pattern[str]
    stated: Callable[[Metadata], object]


class Found(NamedTuple):
    part: Part
    is_there: bool


def _part(
    key: str, title: str | Promise, hint: str | Promise, heading: str, stated: Callable[[Metadata], object]
) -> Part:
    return Part(key, title, hint, re.compile(heading, re.IGNORECASE), stated)


def _nowhere(_metadata: Metadata) -> bool:
    """No metadata of hubs says this."""
    return False


PARTS = (
    _part(
        "intended_use",
        _("Intended use"),
        _("Who may use it for what, on which inputs."),
        r"intended|direct use|^(model )?uses?$|use cases?|用途|适用(?!.*外)|使用场景",
        _nowhere,
    ),
    _part(
        "out_of_scope",
        _("Out of scope"),
        _("What it must not be used for, and where it fails."),
        r"out.of.scope|misuse|not (to be )?used|不适用|范围(之)?外|禁止|滥用",
        _nowhere,
    ),
    _part(
        "training_data",
        _("Training data"),
        _("What it was trained on, from when, and how it was chosen and cleaned."),
        r"train|datasets?\b|^data$|训练|数据",
        lambda facts: facts.datasets,
    ),
    _part(
        "evaluation",
        _("Evaluation"),
        _("Figures on data that it has not seen, by group where groups matter."),
        r"evaluat|results?|metrics?|performance|benchmark|评估|评测|指标|性能|结果",
        lambda facts: facts.results,
    ),
    _part(
        "ethics",
        _("Ethical considerations"),
        _("Whom it may harm, biases, personal data, and what was done about them."),
        r"ethic|bias|risks?|limitation|fairness|harm|伦理|偏见|偏差|风险|局限|公平",
        _nowhere,
    ),
    _part(
        "licence",
        _("Licence"),
        _("Under what terms the model and its data may be used."),
        r"licen[cs]e|许可|授权",
        lambda facts: facts.licence,
    ),
    _part(
        "contact",
        _("Owner and contact"),
        _("Who answers for it, and how to reach them."),
        r"contact|owner|maintain|authors?|developed by|联系|负责人|维护|作者",
        _nowhere,
    ),
)


def check_card(card: str) -> list[Found]:
    """Each part that a reviewer looks for, in order, and whether the card has it."""
    metadata, said = read_metadata(card), read_sections(card)
    return [Found(part, bool(part.stated(metadata)) or part.key in said) for part in PARTS]


def read_sections(card: str) -> dict[str, str]:
    """By part what the card says about it, under the first heading that is its own, in at most 2,000 letters."""
    said: dict[str, str] = {}
    for heading, text in _sections(card):
        for part in PARTS:
            if part.key not in said and part.heading.search(heading):
                said[part.key] = text[:MAX_LETTERS]
    return said


def _sections(card: str) -> Iterator[tuple[str, str]]:
    """The headings under which enough is said, be it under a deeper heading, and what."""
    _block, body = front_matter.split(card)
    body = COMMENT.sub("", body)
    plain = _FENCE.sub(lambda found: "x" * len(found[0]), body)  # a comment in code is no heading
    marks = [(len(found[1] or "#"), (found[2] or found[3]).strip(), found) for found in _HEADING.finditer(plain)]
    for number, (level, heading, found) in enumerate(marks):
        later = (marks[place] for place in range(number + 1, len(marks)))
        end = next((after.start() for depth, _text, after in later if depth <= level), len(body))
        text = body[found.end() : end].strip()
        if len(re.sub(r"\W", "", _HEADING.sub("", text))) >= ENOUGH:
            yield heading, text


def template(name: str) -> str:
    """An empty card with every part and what belongs there, in the reader's language."""
    parts = "\n".join(f"## {part.title}\n\n<!-- {part.hint} -->\n" for part in PARTS)
    return f"---\nlicense: \ntags: []\ndatasets: []\nmetrics: []\n---\n\n# {name}\n\n{parts}"
