"""Model cards: Markdown by people we don't know, as HTML that can do nothing but be read."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from apps.library import front_matter
from apps.library.completeness import COMMENT

TEXT = {"a", "blockquote", "br", "code", "del", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "tbody", "td", "th", "thead", "tr"}

ATTRIBUTES = {"a": {"href", "title"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}

_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render_card(text: str) -> SafeString:
    """The card as HTML of an exact list of tags: no images, no scripts, no styles, no raw HTML, plain links only.

    A block of metadata at the top, as model hubs write it, is left out, and so are comments.
    """
    _block, body = front_matter.split(text)
    html = _markdown.render(COMMENT.sub("", body))
    clean = nh3.clean(
        html,
        tags=TEXT | HEADINGS | TABLES,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # cleaned a line above
