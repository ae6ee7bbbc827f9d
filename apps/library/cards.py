"""Model cards: Markdown by people we don't know, as HTML that can do nothing but be read."""

import re

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TEXT = {"a", "blockquote", "br", "code", "del", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "tbody", "td", "th", "thead", "tr"}

ATTRIBUTES = {"a": {"href", "title"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}

_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render_card(text: str) -> SafeString:
    """The card as HTML of an exact list of tags: no images, no scripts, no styles, no raw HTML, plain links only.

    A block of metadata at the top, as model hubs write it, is left out.
    """
    html = _markdown.render(_FRONT_MATTER.sub("", text, count=1))
    clean = nh3.clean(
        html,
        tags=TEXT | HEADINGS | TABLES,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # cleaned a line above
