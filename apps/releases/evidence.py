"""The evidence of a release in one line each: what a reviewer reads before opening it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.library.evidence import kind_of
from apps.library.models import Check, ModelVersion
from apps.releases.difference import latency, memory, throughput

DOUBTFUL = (Check.State.FAILED, Check.State.WARNED)


@dataclass(frozen=True)
class Verdict:
    """One line; what is not ``is_fine`` is shown open, so that nobody approves past it."""

    text: str
    is_fine: bool = True


def checks_verdict(checks: Iterable[Check]) -> Verdict:
    """How many checks passed, and by name those that a reviewer has to look at."""
    told = list(checks)
    if not told:
        return Verdict(_("This version was never examined."), is_fine=False)
    passed = sum(check.state == Check.State.PASSED for check in told)
    text = _("%(passed)d of %(all)d passed") % {"passed": passed, "all": len(told)}
    doubtful = [str(kind_of(check.key).title) for check in told if check.state in DOUBTFUL]
    if not doubtful:
        return Verdict(text)
    return Verdict(_("%(text)s; look at: %(names)s") % {"text": text, "names": ", ".join(doubtful)}, is_fine=False)


def profile_verdict(version: ModelVersion) -> Verdict:
    """Latency, throughput and memory as the examination measured them."""
    told = [text for text in (latency(version), throughput(version), memory(version)) if text != "–"]
    return Verdict(" · ".join(told)) if told else Verdict(_("Nothing was measured."), is_fine=False)
