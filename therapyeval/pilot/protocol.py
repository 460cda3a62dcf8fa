"""The pilot's plan: one YAML file, checked line by line before anything is computed.

```yaml
version: 1
title: Telerehabilitation for low back pain
question: Do patients treated by video gain as much function?     # optional, one sentence
design: {kind: parallel, randomized: no, allocation: therapist's choice, sites: 4, period: 2026-01-01..2026-06-30}
arms: {telerehab: Telerehabilitation, usual: Usual care}           # value of the attribute `arm`: label
reference: usual                     # or a list: every other arm is compared with each
cohort: {discipline: PT}             # further filters; everybody allocated is analysed as allocated
outcomes: [score_change:odi]         # the first is the main one
responders: ["mcid_rate:odi"]
covariates: [baseline, age]          # of the ANCOVA; none: Welch
variance: HC3                        # or classical, where the protocol asked for it
p_values: no                         # a pilot prints none unless its protocol says so
baseline: [age, sex]                 # rows of the baseline table, besides the baseline scores
progression:                         # what a definitive study needs to see; also eligibility, consent
  retention: {green: 0.80, red: 0.65}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from therapyeval import yaml_lines
from therapyeval.errors import DataError, ParameterError
from therapyeval.formatting import listed
from therapyeval.metrics import parse
from therapyeval.period import parse_period
from therapyeval.pilot.progression import INDICATORS, Criterion
from therapyeval.yaml_lines import Block

KEYS = ("version", "title", "question", "design", "arms", "reference", "cohort", "outcomes", "responders",
        "covariates", "variance", "p_values", "baseline", "progression")
REQUIRED = ("title", "design", "arms", "reference", "outcomes")
KINDS = ("parallel", "cluster", "pre_post", "historical_control", "crossover", "stepped_wedge")
YES_NO = {"yes": True, "true": True, "no": False, "false": False}
VARIANCES = ("HC3", "classical")


@dataclass(frozen=True)
class Design:
    """How the arms came about. `sites` is the number of sites, `period` when patients came in, as the protocol
    writes it; empty texts were not given."""

    kind: str
    randomized: bool
    allocation: str = ""
    sites: int | None = None
    period: str = ""
    blinding: str = ""
    note: str = ""


@dataclass(frozen=True)
class Protocol:
    """A pilot's plan as its file says it; `name` is the file's base name."""

    name: str
    title: str
    design: Design
    arms: Mapping[str, str]
    reference: tuple[str, ...]
    outcomes: tuple[str, ...]
    responders: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    variance: str = "HC3"
    p_values: bool = False
    baseline: tuple[str, ...] = ()
    question: str = ""
    cohort: Mapping[str, object] = field(default_factory=dict)
    progression: tuple[Criterion, ...] = ()

    def to_dict(self) -> dict:
        return {**asdict(self), "arms": dict(self.arms), "cohort": dict(self.cohort)}

    @property
    def measures(self) -> list[str]:
        """Codes of the outcomes' measures, in order."""
        return list(dict.fromkeys(parse(text).measure for text in self.outcomes))


def read_protocol(path: str | Path | Protocol) -> Protocol:
    """Read and check a pilot's plan.

    Raises
    ------
    DataError
        Where there is no such file, or it is not a protocol: which line, and what to do.
    ParameterError
        Where a metric in it cannot be asked.
    """
    if isinstance(path, Protocol):
        return path
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"the protocol {path.name} cannot be read. Is the path right, "
                             "and is it a text file in UTF-8?") from None
    top = yaml_lines.read(text, path.name)
    top.only(KEYS, "a protocol")
    for key in REQUIRED:
        if not top.get(key):
            raise top.fail(None, f"a protocol needs `{key}`. It has to name {listed(REQUIRED)}.")
    return _check(top, Protocol(
        path.name, top.text("title"), _design(top.block("design")), dict(top.block("arms")),
        tuple(top.words("reference")), tuple(top.words("outcomes")), tuple(top.words("responders")),
        tuple(top.words("covariates")), top.text("variance", "HC3"), _yes_no(top, "p_values", False),
        tuple(top.words("baseline")), top.text("question", ""), _filters(top.block("cohort")),
        tuple(_criterion(top.block("progression"), name) for name in top.block("progression"))))


def _design(block: Block) -> Design:
    block.only(("kind", "randomized", "allocation", "sites", "period", "blinding", "note"), "`design`")
    kind, sites, period = block.text("kind", ""), block.text("sites", ""), block.text("period", "")
    if kind not in KINDS:
        raise block.fail("kind", f"`kind` is one of {listed(KINDS, 'or')}.")
    if sites and not sites.isdigit():
        raise block.fail("sites", "`sites` is the number of sites.")
    try:
        parse_period(period or None)
    except ParameterError as error:
        raise block.fail("period", str(error)) from None
    if "randomized" not in block:
        raise block.fail(None, "`design` needs `randomized: yes` or `randomized: no`.")
    return Design(kind, _yes_no(block, "randomized", False), block.text("allocation", ""),
                  int(sites) if sites else None, period, block.text("blinding", ""), block.text("note", ""))


def _criterion(block: Block, name: str) -> Criterion:
    block.only(INDICATORS, "`progression`")
    bands = block.block(name)
    bands.only(("green", "red"), f"`{name}`")
    try:
        green, red = (float(bands.text(key, "")) for key in ("green", "red"))
    except ValueError:
        green, red = 0.0, 1.0
    if not 0 <= red < green <= 1:
        raise block.fail(name, f"write `{name}: {{green: 0.80, red: 0.65}}`: shares from 0 to 1, red below green.")
    return Criterion(name, green, red)


def _yes_no(block: Block, key: str, default: bool) -> bool:
    text = block.text(key)
    if text is None or text == "":
        return default
    if text.lower() not in YES_NO:
        raise block.fail(key, f"`{key}` is yes or no.")
    return YES_NO[text.lower()]


def _filters(block: Block) -> dict[str, object]:
    return {key: block.words(key) if isinstance(block[key], list) else block.text(key) for key in block}


def _check(top: Block, protocol: Protocol) -> Protocol:
    """The protocol, if its parts agree with each other and its metrics can be asked."""
    if len(protocol.arms) < 2:
        raise top.fail("arms", "a comparison needs at least two arms, one line each: `value: label`.")
    for name in protocol.reference:
        if name not in protocol.arms:
            raise top.fail("reference", f"`{name[:40]}` is not an arm. Arms: {listed(list(protocol.arms))}.")
    if set(protocol.reference) == set(protocol.arms):
        raise top.fail("reference", "every arm is a reference; leave out the one under study.")
    if protocol.variance not in VARIANCES:
        raise top.fail("variance", f"`variance` is {listed(VARIANCES, 'or')}.")
    for key, kind in (("outcomes", "mean"), ("responders", "proportion")):
        for text in getattr(protocol, key):
            _check_metric(top, key, text, kind)
    return protocol


def _check_metric(top: Block, key: str, text: str, kind: str) -> None:
    try:
        call = parse(text)
    except ParameterError as error:
        raise ParameterError(f"{top.file}, line {top.lines[key]}: {error}") from None
    if call.metric.kind != kind or (kind == "mean" and not call.measure):
        example = "score_change:odi" if kind == "mean" else "mcid_rate:odi"
        raise DataError(f"{top.file}, line {top.lines[key]}: `{key}` takes metrics such as {example}, not {text[:60]}.")
