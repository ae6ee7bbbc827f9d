"""Judge the alert rules. ``evaluate`` is called by the sweep, every few seconds and one at a time."""

from apps.monitoring.alerting import evaluate_rules


def evaluate() -> None:
    """Bring every alert to where the latest measurements say it stands; its notices are rung for on the way."""
    evaluate_rules()
