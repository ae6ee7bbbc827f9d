"""The frame of every page, and the components that all pages share."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.template import Template, engines
from django.test import Client
from django.utils import timezone, translation
from django_cotton.compiler_regex import CottonCompiler
from pytest_django import Settings

from apps.core.looks import LOOKS, look_of
from apps.core.templatetags.slipway import browser, duration, initials, relative
from apps.deployments.models import Deployment, Replica, Step
from apps.library.models import Check, ModelVersion, Upload
from apps.monitoring.models import Alert, Delivery
from apps.releases.models import Build, Release, Review
from tests.cast import Cast

STATES = [
    *(ModelVersion.State, Check.State, Upload.State, Release.State, Review.Decision, Build.State),
    *(Deployment.Phase, Replica.State, Step.State, Alert.State, Delivery.State),
]


def render(text: str, **context: object) -> str:
    """A template's text rendered as the files are, components and all."""
    template: Template = engines["django"].from_string(CottonCompiler().process(text))
    return template.render(context)


@pytest.mark.parametrize("states", STATES)
def test_every_state_of_every_app_has_a_look(states: type) -> None:
    assert {str(value) for value in states.values} <= set(LOOKS)  # type: ignore[attr-defined]


def test_state_is_a_word_a_tone_and_an_icon() -> None:
    with translation.override("en"):  # whatever language the request before it was in
        html = render('<c-state :state="state" />', state="in_review")
    assert "tone-wait" in html
    assert "in review" in html
    assert "<svg" in html


def test_work_that_runs_looks_busy_and_a_thing_that_runs_looks_well() -> None:
    assert look_of("running").tone == "ok"
    assert look_of("running", "work").tone == "busy"


def test_unknown_state_is_shown_as_it_is() -> None:
    assert look_of("half_way").word == "half way"


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ('<c-digest :value="digest" />', "aaaaaaaaaaaa</code>"),
        ('<c-copy value="{{ digest }}" />', 'data-copy="sha256:aaaa'),
        ('<c-when :at="at" />', ">5 minutes ago</time>"),
        ('<c-when :at="None" />', "–"),
        ('<c-stat label="p99" value="12" unit="ms" />', "<small>ms</small>"),
        ('<c-card title="T"><c-slot name="actions"><b>x</b></c-slot>y</c-card>', "<b>x</b>"),
        ('<c-empty icon="box" title="None yet" text="t"><a>go</a></c-empty>', "<a>go</a>"),
        ('<c-person :user="name" />', ">AL</span>"),
        ('<c-duration :seconds="0.0123" />', "12.3 ms"),
        ('<c-chart :figure="figure" id="latency" label="L" />', '<script id="latency-figure" type="application/json">'),
    ],
)
def test_component_shows_its_value(component: str, expected: str) -> None:
    at = timezone.now() - timedelta(minutes=5)
    context = {"digest": f"sha256:{'a' * 64}", "at": at, "name": "Ada Lovelace", "figure": {"data": []}}
    assert expected in render(component, **context).replace("\xa0", " ")


def test_values_in_components_are_escaped() -> None:
    html = render('<c-copy value="{{ evil }}" /><c-stat label="x" :value="evil" />', evil='"><script>')
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"),
        (0.00085, "850 µs"),
        (0.012, "12 ms"),
        (0.25, "250 ms"),
        (1.23, "1.2 s"),
        (65, "1 min 5 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_choose_their_unit(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


def test_moments_are_said_in_one_unit() -> None:
    now = timezone.now()
    with translation.override("en"):
        assert relative(now - timedelta(days=40, hours=5)).replace("\xa0", " ") == "1 month ago"
        assert relative(now + timedelta(days=7)).replace("\xa0", " ") == "in 1 week"
        assert relative(now) == "now"


def test_people_are_shown_by_two_letters() -> None:
    assert initials("Ada King Lovelace") == "AK"
    assert initials("") == "?"


def test_browsers_are_named_briefly() -> None:
    assert browser("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36") == "Chrome · Linux"
    assert browser("curl/8") == "curl/8"


class _Tags(HTMLParser):
    """What a page contains that a strict policy would refuse, and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.refused += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        if tag == "script" and "src" not in names and names.get("type") != "application/json":
            self.refused.append("inline script")
        self.sources += [value for name in ("src", "href", "action") if (value := names.get(name))]


@pytest.mark.parametrize("path", ["members/", "keys/", "keys/new/", "audit/", "settings/"])
def test_pages_hold_nothing_that_a_strict_policy_refuses_and_stay_on_this_host(
    cast: Cast, client: Client, path: str
) -> None:
    client.force_login(cast.user("ada"))
    answer = client.get(f"/p/digits-team/{path}")
    tags = _Tags()
    tags.feed(answer.content.decode())
    assert answer.status_code == 200
    assert tags.refused == []
    assert not [source for source in tags.sources if re.match(r"(https?:)?//", source)]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_rail_shows_what_the_role_may_see_and_marks_where_one_is(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("vic"))
    page = client.get("/p/digits-team/members/").content.decode()
    assert "/p/digits-team/keys/" not in page
    assert "/p/digits-team/audit/" not in page
    assert re.search(r'href="/p/digits-team/members/" aria-current="page"', page)
    client.force_login(cast.user("ada"))
    assert "/p/digits-team/keys/" in client.get("/p/digits-team/members/").content.decode()


def test_search_finds_people_of_the_project_alone(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("vic"))
    assert "Dana" in client.get("/p/digits-team/search/?q=dan").content.decode()
    assert "Sam" not in client.get("/p/digits-team/search/?q=sam").content.decode()
    assert client.get("/p/digits-team/search/?q=").content.strip() == b""


@pytest.mark.django_db
def test_unknown_address_answers_with_a_page_of_ours(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("vic"))
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert b"There is nothing at this address" in answer.content


def test_problem_is_a_page_or_for_htmx_a_toast(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("sam"))
    assert b"<!doctype html>" in client.get("/p/digits-team/members/").content
    toast = client.get("/p/digits-team/members/", headers={"HX-Request": "true"})
    assert toast.status_code == 404
    assert b"data-problem" in toast.content
    assert b"<html" not in toast.content


def test_static_files_collect_with_their_hashes(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", "--noinput", verbosity=0)
    names = {path.name for path in (tmp_path / "vendor").iterdir()}
    assert {"tabler.min.css", "tabler.min.js", "plotly.min.js"} <= names
    assert any(re.fullmatch(r"slipway\.[0-9a-f]{12}\.css", path.name) for path in (tmp_path / "css").iterdir())


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast of two ``#rrggbb`` colours."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((light(one), light(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_colours_keep_the_contrast_of_aa(theme: str) -> None:
    css = (Path(settings.BASE_DIR) / "static" / "css" / "slipway.css").read_text()
    block = css.split(f'[data-bs-theme="{theme}"] {{', 1)[1].split("}", 1)[0]
    colour = dict(re.findall(r"--(?:sl|tblr)-([\w-]+):\s*(#[0-9a-f]{6});", block))
    pairs = [(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("canvas", "surface", "sunken")]
    pairs += [(tone, f"{tone}-soft") for tone in ("ok", "busy", "wait", "warn", "bad", "off")]
    pairs += [("link-color", "surface"), ("link-color", "accent-soft"), ("bad", "surface")]
    weak = {pair: contrast(colour[pair[0]], colour[pair[1]]) for pair in pairs}
    for filled in ("accent", "accent-strong", "danger", "danger-darken"):
        weak["white", filled] = contrast("#ffffff", colour[filled])
    assert {pair: round(value, 2) for pair, value in weak.items() if value < 4.5} == {}
