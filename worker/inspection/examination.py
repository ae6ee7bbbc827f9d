"""One examination from the first byte to the verdict: the checks in their order, each reported as it goes."""

import os
import re
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from worker import sandbox
from worker.inspection import allowlist, intake, outcomes, probing, safety, second_opinion, serving
from worker.inspection.environments import TITLES, Environments
from worker.inspection.probing import Event, Garbled
from worker.inspection.refusals import Refusal
from worker.inspection.safety import Safety
from worker.inspection.serving import Served
from worker.sandbox import Limits, Outcome, Wall
from worker.specs import Evidence, ExamineSpec, Message, Verdict, gettext_noop

_LIMITS_ONLY = Wall("none", Message(gettext_noop("No sandbox on this machine: limits only")))

# Whose graph it is, by what the exporter calls itself.
_PRODUCERS = {"pytorch": "pytorch", "skl2onnx": "scikit-learn", "tf2onnx": "tensorflow", "keras2onnx": "keras"}

_MEASURED = ("file_bytes", "memory_bytes", "model_memory_bytes", "latency_ms", "throughput")

_VERSION = re.compile(r"\d[\w.+-]{0,39}", re.ASCII)

_SIGN_OF_LIFE = 30.0  # seconds between two lines while packages are installed: who reads along counts on hearing more
_MACHINE_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
_SLOW = 3  # times the patience with libraries that take half a minute to be imported

Facts = Mapping[str, Any]
Steps = Generator[Evidence, None, bool]


def examine(spec: ExamineSpec, environments: Environments | None = None) -> Iterator[Evidence | Verdict]:
    """Evidence of each check, first as running and then with its outcome, and at last exactly one verdict.

    The checks come in the order of ``outcomes.CHECKS``; after a failed one the rest is skipped. Uploaded code is
    never run outside the sandbox, and a crash in there is a failed check. Raises ToolError only where the machine
    itself fails, or the packages of an examination environment cannot be had. Without ``environments`` the formats
    that need one are refused.
    """
    examination = _Examination(spec, environments)
    is_accepted = yield from examination.run()
    yield examination.verdict() if is_accepted else Verdict(accepted=False)


@dataclass
class _Examination:
    spec: ExamineSpec
    environments: Environments | None = None
    done: set[str] = field(default_factory=set)  # checks with an outcome
    current: str = ""  # the check that has begun and not ended
    facts: dict[str, Facts] = field(default_factory=dict)  # what the probes reported, by check
    wall: Wall = _LIMITS_ONLY
    environment: Path | None = None  # where the libraries are that open the file, if they are not ours
    found: intake.Intake = field(init=False)
    safe: Safety = field(init=False)
    served: Served = field(init=False)

    def run(self) -> Steps:
        for step in (self.content, self.safety, self.sandbox, self.examining, self.profile):
            if not (yield from step()):
                yield from (outcomes.skipped(check) for check in outcomes.CHECKS if check not in self.done)
                return False
        return True

    # --- without opening it ---------------------------------------------------------------------------------------

    def content(self) -> Steps:
        return (yield from self._check("content", self._take_in))

    def _take_in(self) -> Evidence:
        found = self.found = intake.take_in(self.spec.files, self.spec.scratch, self.spec.unpacked_bytes)
        shown = {"format": intake.ACCEPTED[found.model.kind].title, "size": outcomes.size_in_words(found.model.size)}
        words = gettext_noop("%(format)s, %(size)s, told by its content")
        if found.mlflow:
            words = gettext_noop("%(format)s, %(size)s, out of an MLflow model folder")
        elif found.weights:
            words = gettext_noop("%(format)s, %(size)s with its weights, which lay beside it")
        return Evidence("content", "passed", Message(words, shown), details=intake.facts(found))

    def safety(self) -> Steps:
        return (yield from self._check("safety", self._judge))

    def _judge(self) -> Evidence:
        try:
            self.safe = safety.judge(self.found, self.spec.excepted)
        except Refusal as refusal:
            refusal.details = {**refusal.details, **self._second_opinion()}
            raise
        details = {"tier": self.safe.tier, **self.safe.details, **self._second_opinion()}
        return Evidence("safety", "passed", self.safe.summary, details=details)

    def _second_opinion(self) -> Facts:
        """What another scanner says of a pickle, for people to read; it changes no verdict."""
        said = second_opinion.ask(self.found.model.path) if self.found.model.kind == "pickle" else {}
        return {"second_opinion": said} if said else {}

    def sandbox(self) -> Steps:
        return (yield from self._check("sandbox", self._choose_wall)) and (yield from self._bring_libraries())

    def _bring_libraries(self) -> Steps:
        """The libraries of a foreign format, made ready behind the same check: the first time takes minutes."""
        name = self.safe.environment
        if not name:
            return True
        shown = {"library": TITLES[name]}
        start = time.monotonic()
        if self.environments is None:
            reason = Message(gettext_noop("This installation opens no files of %(library)s."), shown)
            advice = Message(gettext_noop("Export the model to ONNX and upload that file."))
            yield self._end(outcomes.refused("sandbox", Refusal(reason, advice)))
            return False
        words = gettext_noop("Making %(library)s ready to open it with; the first time this takes minutes")
        with ThreadPoolExecutor(1) as pool:
            ready = pool.submit(self.environments.prepare, name)
            yield Evidence("sandbox", "running", Message(words, shown))
            while not wait([ready], _SIGN_OF_LIFE).done:
                yield Evidence("sandbox", "running", Message(words, shown))
        self.environment = ready.result()
        words = gettext_noop("%(library)s in an environment of its own, behind the wall “%(wall)s”")
        details = {"wall": self.wall.kind, "packages": list(self.environments.packages(name))}
        seconds = round(time.monotonic() - start, 3)
        summary = Message(words, {"wall": self.wall.kind, **shown})
        yield self._end(Evidence("sandbox", "passed", summary, details=details, seconds=seconds))
        return True

    def _choose_wall(self) -> Evidence:
        wall = sandbox.strongest()
        if wall:
            self.wall = wall
            return Evidence("sandbox", "passed", wall.description, details={"wall": wall.kind})
        advice = Message(
            gettext_noop("Ask an administrator to install bubblewrap, or upload an ONNX file, which needs no sandbox.")
        )
        if self.safe.environment:
            raise Refusal(
                Message(gettext_noop("This machine has no sandbox, and this format is opened nowhere else.")), advice
            )
        if self.safe.tier:
            raise Refusal(
                Message(gettext_noop("This machine has no sandbox, and a pickle is opened nowhere else.")), advice
            )
        reason = Message(
            gettext_noop(
                "This machine has no sandbox. The format cannot run code, so it is examined under limits alone."
            )
        )
        return Evidence("sandbox", "warned", self.wall.description, reason, advice, {"wall": self.wall.kind})

    def _check(self, name: str, act: Callable[[], Evidence]) -> Steps:
        """Run one check of this process and report it; a refusal is its outcome."""
        yield self._begin(name)
        start = time.monotonic()
        try:
            evidence = act()
        except Refusal as refusal:
            evidence = outcomes.refused(name, refusal)
        yield self._end(replace(evidence, seconds=round(time.monotonic() - start, 3)))
        return evidence.state != "failed"

    def _begin(self, check: str) -> Evidence:
        self.current = check
        return outcomes.running(check)

    def _end(self, evidence: Evidence) -> Evidence:
        self.current = ""
        self.done.add(evidence.check)
        return evidence

    # --- in the sandbox -------------------------------------------------------------------------------------------

    def examining(self) -> Steps:
        """Load, signature, predict and convert in one process, so that the file is opened once.

        Where the conversion takes the process down with it, a second run leaves the conversion out.
        """
        folder = self._folder("examining")
        if self.safe.environment:  # no form of our own to fall back to
            is_fine = yield from self._probe("converting", self._request(), folder)
            return is_fine and (yield from self._accept_served(folder))
        is_fine = yield from self._probe("examining", self._request(), folder, retry_from="convert")
        if not is_fine and self.current == "convert":
            folder = self._folder("examining-again")
            is_fine = yield from self._probe("examining", self._request(is_native=True), folder)
        if is_fine and self.safe.loader == "onnx":
            yield from self._check("convert", self._serve_as_is)
        return is_fine and (yield from self._accept_served(folder))

    def _serve_as_is(self) -> Evidence:
        self.facts["convert"] = {}
        return Evidence("convert", "passed", Message(gettext_noop("Already ONNX; served as it is")))

    def _accept_served(self, folder: Path) -> Steps:
        """Look at the file to serve and at the reported signature before the next probe opens it."""
        try:
            serving.signature(self.facts["signature"])
            self.served = serving.choose(self.found, self.facts["convert"], folder, self.safe.granted)
        except (Garbled, Refusal, KeyError):
            self.done.discard("convert")
            yield self._end(outcomes.failed("convert", "garbled", {}))
            return False
        return True

    def profile(self) -> Steps:
        request = {
            **self._request(path=str(self.served.path.resolve())), "served": self.served.format,
            "names": list(self.served.trusted),
            "inputs": self.facts["signature"]["inputs"], "outputs": self.facts["signature"]["outputs"],
            "example": self.facts["predict"].get("example"),
        }  # fmt: skip
        if not (yield from self._probe("profiling", request, self._folder("profiling"))):
            return False
        try:
            serving.signature(self.facts["profile"])
        except (Garbled, KeyError):
            yield self._end(outcomes.failed("profile", "garbled", {}))
            return False
        return True

    def _request(self, **more: Any) -> dict[str, Any]:
        return {
            "path": str(self.found.model.path.resolve()), "kind": self.safe.loader,
            "allowed": sorted({*allowlist.load(), *self.safe.granted}), "is_exception": bool(self.safe.granted),
            "example": self.spec.example or self.found.example, "columns": list(self.found.columns), **more,
        }  # fmt: skip

    def _folder(self, name: str) -> Path:
        folder = self.spec.scratch.resolve() / name
        folder.mkdir(mode=0o700)
        return folder

    def _probe(self, probe: str, request: dict[str, Any], folder: Path, *, retry_from: str = "") -> Steps:
        """Run a probe and report its checks; one that it began and did not end is where it crashed.

        A crash in ``retry_from`` is not reported: ``current`` tells the caller.
        """
        try:
            environment = self.environment if probe == "converting" else None
            readable = [self.found.readable if probe == "converting" else Path(request["path"])]
            for event in probing.run(probe, request, folder, readable, self._limits, self.wall, environment):
                if isinstance(event, Outcome):
                    return (yield from self._crash(event, retry_from))
                if event.check in outcomes.PROBED[probe] and event.check not in self.done:
                    yield self._follow(event)
                    if event.state == "failed":
                        return False
        except Garbled:
            yield self._end(outcomes.failed(self.current or outcomes.PROBED[probe][0], "garbled", {}))
        return False

    def _follow(self, event: Event) -> Evidence:
        if event.state == "running":
            return self._begin(event.check)
        self.facts[event.check] = event.facts
        return self._end(outcomes.evidence(event, self._limits_in_words))

    def _crash(self, outcome: Outcome, retry_from: str) -> Steps:
        """Whether the probe ended well: with code 0 and nothing left open."""
        if outcome.exit_code == 0 and not self.current:
            return True
        self.current = self.current or next(check for check in outcomes.CHECKS if check not in self.done)
        if self.current != retry_from:
            yield self._end(outcomes.crashed(self.current, outcome, self._limits_in_words))
        return False

    @property
    def _limits(self) -> Limits:
        """They grow with the model: it is held twice while it is opened, and converted it is written once more."""
        size = self.found.size
        memory = min(self.spec.memory_bytes + 2 * size, max(self.spec.memory_bytes, _MACHINE_BYTES // 2))
        seconds = self.spec.seconds * (1 + size // (1 << 30)) * (_SLOW if self.environment else 1)
        return Limits(
            memory_bytes=memory,
            seconds=seconds,
            cpu_seconds=max(int(seconds), 1),
            file_bytes=max(1 << 30, 2 * size),
        )

    @property
    def _limits_in_words(self) -> Facts:
        return {"seconds": int(self._limits.seconds), "megabytes": self._limits.memory_bytes // 1_000_000}

    # --- the end --------------------------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        accepted, profile = intake.ACCEPTED[self.found.model.kind], self.facts["profile"]
        framework, version = self._framework(accepted.framework)
        return Verdict(
            accepted=True,
            format=accepted.format,
            framework=framework,
            framework_version=version,
            tier=self.safe.tier,
            signature=serving.signature(profile),
            served_path=self.served.path,
            served_format=self.served.format,
            served_name=self.served.name,
            requirements=tuple(map(str, profile.get("requirements", ()))),
            labels=self._labels(),
            golden=profile.get("golden", {}),
            profile={key: profile.get(key) for key in _MEASURED},
            parity=self.facts["convert"].get("parity") or {},
            trusted=self.served.trusted,
            card=self.found.card,
        )

    def _framework(self, framework: str) -> tuple[str, str]:
        """The library that made the model, and its version as the upload tells it: never the one installed here."""
        if framework == "onnx":
            outline = self.found.outline
            made_by = _PRODUCERS.get(outline.producer.casefold(), "onnx")
            told = [outline.producer_version if made_by == outline.producer.casefold() else ""]
        else:
            made_by = framework
            load = self.facts["load"]
            told = [_newest(self.safe.versions), load.get("written_by", ""), self.found.written_by]
        return made_by, next((text for text in map(str, told) if _VERSION.fullmatch(text)), "")

    def _labels(self) -> tuple[str, ...]:
        """Names of the classes: the model's words, else those of the labels file, else the model's numbers."""
        classes = tuple(str(name) for name in self.facts["signature"].get("classes") or ())
        has_words = any(not name.lstrip("-").isdigit() for name in classes)
        if classes and (has_words or len(classes) != len(self.found.labels)):
            return classes
        return self.found.labels


def _newest(versions: Collection[str]) -> str:
    return max(versions, key=lambda version: [int(part) for part in re.findall(r"[0-9]{1,9}", version)], default="")
