"""The demonstration from an empty data folder to traffic that does not end; a second start only sends traffic."""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()

from django.conf import settings  # noqa: E402

from apps.accounts import services as accounts  # noqa: E402
from controlplane.demo import people, story, traffic  # noqa: E402


def main() -> None:
    home = Path(settings.SLIPWAY_HOME)
    folder, card = home / "demo", home / "demo.json"
    if not story.is_trained(folder):
        say("training models on real data …")
        story.train(folder)
    if not card.exists():
        write_card(card, tell(folder))
    facts = json.loads(card.read_text())
    wait_for_answer(facts, folder)
    print_card(facts)
    traffic.send_for_ever(callers(facts, folder), facts["keys"]["invoke"])


def tell(folder: Path) -> dict[str, Any]:
    """Take the models along the public way; returns what ``demo.json`` says."""
    cast = people.gather()
    scores = json.loads((folder / "scores.json").read_text())
    invoke = accounts.issue_key(
        actor=cast.actor("ada"), project=cast.project, name="Demo traffic", scopes=["invoke:*"], rate_per_minute=600_000
    )
    pipeline = accounts.issue_key(
        actor=cast.actor("ada"), project=cast.project, name="CI pipeline", scopes=["read", "upload", "propose"]
    )
    digits = story.address(cast, "digits", "production")
    cancer = story.address(cast, "cancer", "staging")
    first = upload_digits(cast, folder, "digits-logistic", "Logistic regression on scaled pixels", scores)
    boosting = upload_cancer(cast, folder, scores)
    story.approve(cast, story.propose(cast, first, digits, "Our baseline. Simple and fast."), "Fine as a baseline.")
    facts = facts_of(cast, invoke.text, pipeline.text)
    say("the first version is live; a better one follows …")
    second = upload_digits(cast, folder, "digits-forest", "A forest of 100 trees", scores)
    better = story.propose(cast, second, digits, "A forest instead of the regression; steadier on sevens.", replicas=2)
    story.approve(cast, better, "Parity and latency are fine.")
    wait_for_answer(facts, folder)
    trial = story.propose(cast, boosting, cancer, "Gradient boosting for the clinic's trial. Staging only.")
    story.approve(cast, trial, "Staging only, as agreed.")
    story.watch(cast, digits)
    leave_open_ends(cast, folder, digits, scores)
    return facts


def upload_digits(cast: people.Cast, folder: Path, name: str, text: str, scores: dict[str, float]) -> Any:
    suffix = ".onnx" if name.endswith("convnet") else ".joblib"
    card = story.CARD.format(title="Digits", text=f"{text}.", data=story.DIGITS, score=scores[name])
    about = {"description": "Reads handwritten digits", "task": "image classification", "tags": ["digits", "vision"]}
    return story.upload(cast, "digits", folder / f"{name}{suffix}", card, **about)


def upload_cancer(cast: people.Cast, folder: Path, scores: dict[str, float]) -> Any:
    text = "Gradient boosting over 30 measurements of a tumour; the output is the probability that it is benign."
    card = story.CARD.format(title="Cancer", text=text, data=story.CANCER, score=scores["cancer-boosting"])
    about = {"description": "Tells benign tumours from others", "task": "tabular classification", "tags": ["tabular"]}
    return story.upload(cast, "cancer", folder / "cancer-boosting.txt", card, **about)


def leave_open_ends(cast: people.Cast, folder: Path, digits: Any, scores: dict[str, float]) -> None:
    """Something for every reader: a proposal that waits for a review, and a file that was refused."""
    third = upload_digits(cast, folder, "digits-convnet", "A small convolutional net", scores)
    story.propose(cast, third, digits, "Best score so far: please compare the latency before you approve.", replicas=2)
    card = story.CARD.format(title="Downloaded", text="Found on a forum.", data="Unknown.", score=0)
    story.upload(
        cast, "downloaded", folder / "downloaded.pkl", card, description="From the internet", tags=["untrusted"]
    )


def facts_of(cast: people.Cast, invoke: str, pipeline: str) -> dict[str, Any]:
    gateway = settings.SLIPWAY_GATEWAY_URL
    return {
        "web": settings.SLIPWAY_WEB_URL,
        "gateway": gateway,
        "project": cast.project.slug,
        "users": {
            name: {"email": person.email, "password": person.password, "role": person.role}
            for name, person in cast.people.items()
        },
        "keys": {"invoke": invoke, "ci": pipeline},
        "endpoints": {
            name: {"model": name, "url": f"{gateway}/{cast.project.slug}/{name}"} for name in ("digits", "cancer")
        },
    }


def callers(facts: dict[str, Any], folder: Path) -> list[traffic.Caller]:
    made = []
    for name, share in (("digits", 4.0), ("cancer", 1.0)):
        place = facts["endpoints"][name]
        rows, labels = traffic.read_samples(folder / f"{name}.json")
        made.append(traffic.Caller(place["url"], place["model"], "input", rows, labels, share))
    return made


def wait_for_answer(facts: dict[str, Any], folder: Path) -> None:
    """Until the digits endpoint answers through the gateway with the key."""
    caller = callers(facts, folder)[0]

    def answers() -> bool:
        try:
            return bool(traffic.call(caller, facts["keys"]["invoke"], caller.rows[:1], traffic.connect(caller)))
        except (OSError, http.client.HTTPException):
            return False

    story.wait_for(answers, "the digits endpoint to answer")


def write_card(card: Path, facts: dict[str, Any]) -> None:
    draft = card.with_name(".demo.json")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(facts, indent=2) + "\n")
    draft.rename(card)


def print_card(facts: dict[str, Any]) -> None:
    say(f"the demonstration is live at {facts['web']}/p/{facts['project']}/")
    for name, person in facts["users"].items():
        say(f"{name:5} {person['role']:15} {person['email']:20} {person['password']}")
    for name, key in facts["keys"].items():
        say(f"key   {name:15} {key}")
    for name, place in facts["endpoints"].items():
        say(f"call  {name:15} {place['url']}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
