"""Every text for people goes through gettext, and the Chinese catalogue has all of them."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import to_locale

from apps.core.translations.catalogues import compile_catalogue, is_translated, load, mismatched_parts, path_of
from apps.core.translations.extraction import Text, find_texts, read_python, read_template
from tests.cast import Cast
from tests.house.sources import ROOT, Source, read_sources, read_templates

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CATALOGUES = [path_of(settings.LOCALE_PATHS[0], to_locale(code)) for code, _ in settings.LANGUAGES if code != "en"]

# What a template shows besides translated text: names that are the same in every language, units and keys.
SAME_EVERYWHERE = {"Slipway", "req", "ms", "Ctrl", "esc", "API", "UTC", "sha"}
NOT_TEXT = re.compile(
    r"\{#.*?#\}|\{%\s*comment.*?endcomment\s*%\}|\{%\s*blocktranslate.*?endblocktranslate\s*%\}"
    r"|<(script|style|code|pre|kbd|svg)\b.*?</\1>|<!--.*?-->|&\w+;",
    re.DOTALL,
)
TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
ELEMENT = re.compile(r"<[^>]*>")
TOLD = re.compile(r"""\s(?:title|label|text|hint|alt|placeholder|aria-label|unit|data-confirm)="([^"]*)\"""")
WORD = re.compile(r"[A-Za-z]{2,}")

SPEAKING = {"NotAllowed", "Missing", "StateConflict", "Invalid", "TooLarge", "Unavailable", "ToolError", "Message"}
READ = {"advice", "label", "verbose_name", "empty_label"}


@cache
def texts() -> dict[Text, list[str]]:
    return find_texts(ROOT)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_text_is_translated(path: polib.POFile) -> None:
    entries = {Text(entry.msgid, entry.msgid_plural or "", entry.msgctxt or ""): entry for entry in load(path)}
    missing = [text.singular for text in texts() if text not in entries or not is_translated(entries[text])]
    assert not missing, f"Run “manage.py translations” and translate in {path.name}: {missing}"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_translations_keep_the_named_parts(path: polib.POFile) -> None:
    broken = {entry.msgid: parts for entry in load(path) if entry.translated() and (parts := mismatched_parts(entry))}
    assert not broken, broken


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_what_is_loaded_is_what_was_written(path: polib.POFile) -> None:
    assert path.with_suffix(".mo").read_bytes() == compile_catalogue(path), "Run “manage.py translations”."


def test_templates_show_no_text_of_their_own() -> None:
    bare = {name: words for name, source in read_templates().items() if (words := sorted(find_bare_words(source)))}
    assert not bare, bare


def find_bare_words(template: str) -> Iterator[str]:
    """Words that a template would show in English in every language: in its text, and in attributes that are read."""
    shown = TAG.sub("¶", NOT_TEXT.sub("", template))
    for stretch in [*TOLD.findall(shown), *ELEMENT.split(shown)]:
        yield from set(WORD.findall(stretch)) - SAME_EVERYWHERE


def test_bare_words_are_found_and_translated_ones_are_not() -> None:
    translated = "{% translate 'Fine' %}{% blocktranslate %}Also fine{% endblocktranslate %}"
    template = f'<p title="Hover">{translated} Bare {{{{ x }}}}<code>ls</code></p>'
    assert set(find_bare_words(template)) == {"Hover", "Bare"}


def test_texts_of_python_are_found() -> None:
    source = '_("one " "two"); ngettext("a", "b", n); pgettext("where", "c"); gettext(variable); other("d")'
    assert list(read_python(source)) == [Text("one two"), Text("a", plural="b"), Text("c", context="where")]


def test_texts_of_templates_are_found() -> None:
    source = """{% translate "It's 100%" %}{% translate "Run" context "rail" %}{{ x|default:_("none") }}
    {% blocktranslate trimmed count n=n %}{{ n }} file{% plural %}
      {{ n }} files{% endblocktranslate %}"""
    assert list(read_template(source, "x.html")) == [
        Text("It's 100%%"),
        Text("Run", context="rail"),
        Text("none"),
        Text("%(n)s file", plural="%(n)s files"),
    ]


def test_sign_in_speaks_chinese(client: Client, db: None) -> None:
    page = client.get("/accounts/login/", headers={"accept-language": "zh-CN,zh;q=0.9"}).content.decode()
    assert '<html lang="zh-hans"' in page
    assert "登录" in page


def test_models_page_speaks_the_language_of_the_person(client: Client, cast: Cast) -> None:
    client.force_login(cast.user("dana"))
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    page = client.get(f"/p/{cast.project.slug}/models/").content.decode()
    assert '<html lang="zh-hans"' in page
    assert "模型" in page
    assert [
        line.strip() for line in visible_lines(page) if not CHINESE.search(line) and len(WORD.findall(line)) > 1
    ] == []


def visible_lines(page: str) -> list[str]:
    body = page[page.index("<main") : page.index("</main>")]
    return [line for line in ELEMENT.sub("\n", NOT_TEXT.sub("", body)).splitlines() if line.strip()]


def test_refusals_and_forms_say_nothing_untranslated() -> None:
    bare = [where for source in read_sources() if is_spoken(source.name) for where in find_bare_texts(source)]
    assert not bare, bare


def is_spoken(name: str) -> bool:
    return name.startswith(("apps/", "worker/")) and not name.endswith("/fake.py")  # a fake speaks to tests alone


def find_bare_texts(source: Source) -> Iterator[str]:
    """Literal sentences where a person reads them: in refusals and messages, as labels of forms and models."""
    for call in (node for node in ast.walk(source.tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        told = [*call.args[:1]] if name in SPEAKING else []
        told += [keyword.value for keyword in call.keywords if keyword.arg in READ]
        if any(set(WORD.findall(literal(part))) - SAME_EVERYWHERE for part in told):
            yield f"{source.name}:{call.lineno}"


def literal(node: ast.expr) -> str:
    """What a string says by itself, without what is put into it; nothing for any other expression."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return " ".join(str(part.value) for part in parts if isinstance(part, ast.Constant) and part.value is not None)
