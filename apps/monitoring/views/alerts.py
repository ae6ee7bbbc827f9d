"""Alerts, and the rules that raise them."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.web import PageRequest
from apps.monitoring import selectors, services
from apps.monitoring.forms import RuleForm, rule_values
from apps.monitoring.metrics import METRICS
from apps.monitoring.models import Alert, AlertRule
from apps.monitoring.previews import preview, recent_values

PAGE = 25


@require_safe
def alerts(request: PageRequest, project: str) -> HttpResponse:
    """What is wrong now? Firing first, then what is over."""
    room = get_project(request.actor, project, "monitoring.view")
    context = _alerts(request, room) | {"project": room, "tab": "alerts"}
    return render_page(request, "monitoring/alerts.html", context, fragment="monitoring/_alerts.html")


@require_POST
def acknowledge(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    alert = selectors.get_alert(request.actor, room, pk)
    services.acknowledge(actor=request.actor, alert=alert, note=request.POST.get("note", "")[:2000])
    messages.success(request, _("You are on it: “%(rule)s” is acknowledged.") % {"rule": alert.rule.name})
    return redirect("monitoring:alerts", project=room.slug)


@require_safe
def rules(request: PageRequest, project: str) -> HttpResponse:
    """What is watched, and what each rule says now."""
    room = get_project(request.actor, project, "monitoring.view")
    context = {"project": room, "tab": "rules", "rules": selectors.rules(request.actor, room)}
    return render(request, "monitoring/rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: PageRequest, project: str) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    request.actor.require("rule.edit", room)
    form = RuleForm(room, request.POST or None, initial=_first_guess(request))
    if form.is_valid():
        rule = services.create_rule(actor=request.actor, project=room, **form.cleaned_data)
        messages.success(request, _("“%(rule)s” is watched from now on.") % {"rule": rule.name})
        return redirect("monitoring:rules", project=room.slug)
    return _show_form(request, room, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def rule_edit(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    request.actor.require("rule.edit", room)
    rule = selectors.get_rule(request.actor, room, pk)
    form = RuleForm(room, request.POST or None, initial=rule_values(rule))
    if form.is_valid():
        services.change_rule(actor=request.actor, rule=rule, **form.cleaned_data)
        messages.success(request, _("“%(rule)s” is changed.") % {"rule": rule.name})
        return redirect("monitoring:rules", project=room.slug)
    return _show_form(request, room, form, rule)


@require_POST
def rule_delete(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    rule = selectors.get_rule(request.actor, room, pk)
    services.delete_rule(actor=request.actor, rule=rule)
    messages.success(request, _("“%(rule)s” is deleted.") % {"rule": rule.name})
    return redirect("monitoring:rules", project=room.slug)


@require_safe
def rule_preview(request: PageRequest, project: str) -> HttpResponse:
    """When the rule as filled in would have fired; nothing while the sentence is incomplete."""
    room = get_project(request.actor, project, "monitoring.view")
    form = RuleForm(room, request.GET)
    seen = preview(form.as_rule(), timezone.now()) if form.is_valid() else None
    unit = METRICS[request.GET["metric"]].unit if request.GET.get("metric") in METRICS else ""
    return render(request, "monitoring/_preview.html", {"project": room, "preview": seen, "unit": unit})


def _alerts(request: PageRequest, project: Project) -> dict[str, Any]:
    found = selectors.alerts(request.actor, project)
    pages = Paginator(found.filter(state=Alert.State.RESOLVED), PAGE)
    fired = list(selectors.open_alerts(request.actor, project))
    return {
        "open": list(zip(fired, recent_values(fired, timezone.now()), strict=True)),
        "pending": found.filter(state=Alert.State.PENDING),
        "resolved": pages.get_page(request.GET.get("page")),
        "has_rules": AlertRule.objects.filter(project=project).exists(),
    }


def _first_guess(request: PageRequest) -> dict[str, Any]:
    """A rule most people want first; the endpoint may come from the page that led here."""
    endpoint = {"endpoint": request.GET["endpoint"]} if request.GET.get("endpoint", "").isdigit() else {}
    guess = {"metric": "latency_p99", "window_seconds": 300, "operator": ">", "threshold": 200, "for_seconds": 300}
    return {**guess, "severity": "warning", **endpoint}


def _show_form(request: PageRequest, project: Project, form: RuleForm, rule: AlertRule | None) -> HttpResponse:
    context = {"project": project, "tab": "rules", "form": form, "rule": rule}
    return render(request, "monitoring/rule.html", context, status=422 if form.errors else 200)
