"""What a report may say in words. Small pure functions; each sentence is tested by itself.

Never written: a cause where nobody was allocated at random, "significant", "proved", a verdict from a P value,
"not important" from a group mean alone. Source: domain notes on pilot studies (section 7) and on quarterly
reviews (section 6).
"""

from __future__ import annotations

from collections.abc import Mapping

from therapyeval.display.cells import number, span
from therapyeval.display.labels import NOT_VERIFIED
from therapyeval.formatting import WITHHELD, listed, plural

SUPERIOR, INFERIOR = "superiority", "inferiority"
Limits = tuple[float, float, float]
LESS, PEOPLE = "of less than one MCID on average", "the responder rates say how many people improved by that much"
INCONCLUSIVE, UNLIKELY, WITHOUT_MCID = "inconclusive", "unlikely to matter", "importance cannot be judged"


def design_word(kind: str, randomized: bool) -> str:
    """The word for the design that a title must carry.

    >>> design_word("cluster", True), design_word("parallel", False), design_word("pre_post", False)
    ('cluster-randomized trial', 'non-randomized comparison', 'before-after comparison')
    """
    if randomized:
        before = {"cluster": "cluster-", "stepped_wedge": "stepped-wedge, cluster-"}.get(kind, "")
        return before + ("randomized crossover trial" if kind == "crossover" else "randomized trial")
    return {"pre_post": "before-after comparison", "historical_control": "comparison with a historical control",
            }.get(kind, "non-randomized comparison")


def design_line(kind: str, randomized: bool, title: str) -> str:
    """The line under a title: the design, and "pilot" where the title does not say it.

    >>> design_line("parallel", False, "Telerehabilitation for low back pain")
    'non-randomized comparison, pilot'
    """
    said = any(word in title.lower() for word in ("pilot", "feasibility"))
    return design_word(kind, randomized) + ("" if said or randomized else ", pilot")


def who(total: str, arms: Mapping[str, str], randomized: bool, sites: int | None = None) -> str:
    """How many people, how they came into groups, and where. Counts are text: one may be "withheld".

    >>> who("101", {"PRT": "50", "usual care": "51"}, True, 1)
    '101 people at 1 site were allocated at random: 50 to PRT and 51 to usual care.'
    >>> who("90", {"video": "40", "clinic": "withheld"}, False)
    '90 people were compared in groups that were not formed at random: 40 in video and withheld in clinic.'
    """
    where = f" at {plural(sites, 'site')}" if sites else ""
    people = f"{'People' if total == WITHHELD else total + ' people'}{where} were"
    how, into = (("allocated at random", "to") if randomized
                 else ("compared in groups that were not formed at random", "in"))
    return f"{people} {how}: {listed([f'{n} {into} {arm}' for arm, n in arms.items()])}."


def effect(outcome: str, pair: tuple[str, str], limits: Limits, unit: str, *, digits: int, conf_level: float,
           randomized: bool, reading: str) -> str:
    """A main difference of improvements with its interval in `unit`, and how the interval reads.

    >>> effect("Pain", ("PRT", "placebo"), (1.79, 1.24, 2.34), "points", digits=2, conf_level=0.95, randomized=True,
    ...        reading="the interval excludes 0")
    'Pain improved by 1.79 points more with PRT than with placebo (95% interval 1.24 to 2.34): the interval excludes 0.'
    """
    value, low, high = limits
    more = "more" if value >= 0 else "less"
    first, second = pair
    groups = f"with {first} than with {second}" if randomized else f"in the group {first} than in the group {second}"
    return (f"{outcome} improved by {number(abs(value), digits)} {unit} {more} {groups} "
            f"({100 * conf_level:g}% interval {span(*_turned(value, low, high), digits)}): {reading}.")


def _turned(value: float, low: float, high: float) -> tuple[float, float]:
    """Limits in the direction of "more" or "less"."""
    return (low, high) if value >= 0 else (-high, -low)


def effect_withheld(outcome: str, pair: tuple[str, str], reason: str) -> str:
    """A main difference that is not shown, and why.

    >>> effect_withheld("Pain", ("PRT", "usual"), "withheld")
    'Pain: the difference between PRT and usual is withheld.'
    """
    state = "is withheld" if reason == WITHHELD else f"cannot be given{f' ({reason})' if reason else ''}"
    return f"{outcome}: the difference between {pair[0]} and {pair[1]} {state}."


def verdict(low: float, high: float, has_mcid: bool) -> str:
    """An interval in MCIDs (positive is better for the first group) against 0 and against one MCID.

    >>> verdict(0.62, 1.17, True), verdict(-0.2, 1.1, True), verdict(-0.4, 0.5, True), verdict(-3, 5, False)
    ('superiority', 'inconclusive', 'unlikely to matter', 'importance cannot be judged')
    """
    if not has_mcid:
        return WITHOUT_MCID
    if low > 0:
        return SUPERIOR
    if high < 0:
        return INFERIOR
    return INCONCLUSIVE if high >= 1 or low <= -1 else UNLIKELY


def reading_now(outcome: str, pair: tuple[str, str], low: float, high: float, has_mcid: bool, randomized: bool) -> str:
    """The verdict on one difference, from its interval in MCIDs (in points where there is none).

    >>> reading_now("Pain", ("PRT", "placebo"), 0.62, 1.17, True, True)
    'Pain, PRT against placebo: superiority of uncertain importance.'
    """
    word = _worded(_reading(low, high)[0], randomized) if has_mcid else (
        f"the interval {'includes' if low <= 0 <= high else 'excludes'} 0; {WITHOUT_MCID}")
    return f"{outcome}, {pair[0]} against {pair[1]}: {word}."


def mcid_at_limits(outcome: str, pair: tuple[str, str], low: float, high: float, unit: str, digits: int) -> str:
    """Which MCIDs would be read otherwise.

    >>> mcid_at_limits("Pain", ("PRT", "usual"), 1.24, 2.34, "points", 2)
    'Pain, PRT against usual: an MCID between 1.24 and 2.34 points lies inside the \
interval; a smaller one would lie wholly below it, a larger one wholly above it.'
    >>> mcid_at_limits("Pain", ("PRT", "usual"), -0.6, 0.8, "points", 1)
    'Pain, PRT against usual: an MCID of up to 0.8 points lies inside the interval, a larger one beyond it.'
    """
    of_what = f"{outcome}, {pair[0]} against {pair[1]}"
    if low <= 0 <= high:
        return (f"{of_what}: an MCID of up to {number(max(-low, high), digits)} {unit} lies inside the interval, a "
                "larger one beyond it.")
    near, far = sorted((abs(low), abs(high)))
    return (f"{of_what}: an MCID between {number(near, digits)} and {number(far, digits)} {unit} lies inside the "
            "interval; a smaller one would lie wholly below it, a larger one wholly above it.")


def hidden_difference(limit: float, unit: str, digits: int) -> str:
    """What an unmeasured difference between the groups would have to do, where nobody was allocated at random.

    >>> hidden_difference(1.3, "points", 1)
    'Groups that differed before treatment, in ways that were not measured, by as much as makes 1.3 points of \
improvement would bring the interval to 0.'
    """
    return ("Groups that differed before treatment, in ways that were not measured, by as much as makes "
            f"{number(abs(limit), digits)} {unit} of improvement would bring the interval to 0.")


def next_step(decision: str, bands: Mapping[str, str]) -> str:
    """What the progression criteria say together, and which are not green; guidance, not automatic.

    `bands` is indicator -> "green", "amber", "red" or "" where it is withheld.

    >>> next_step("amend", {"consent": "green", "retention": "amber"})
    "By the protocol's progression criteria: amend. No criterion is red, but not all are green: retention is amber."
    """
    others = listed([f"{name} is {band or WITHHELD}" for name, band in bands.items() if band != "green"])
    why = {"go": "Every criterion is green.", "amend": f"No criterion is red, but not all are green: {others}.",
           "stop or redesign": f"At least one criterion is red: {others}.",
           "cannot be told": f"At least one criterion is withheld: {others}."}[decision]
    return f"By the protocol's progression criteria: {decision}. {why}"


NO_CRITERIA = ("The protocol states no progression criteria, so this report does not say whether to go on, amend or "
               "stop. `progression:` in the protocol states them, before the results are seen.")


def against_mcid(limits: Limits, mcid: str, *, randomized: bool, has_responders: bool) -> str:
    """A difference in MCIDs, and what its interval does and does not include; never from the mean alone.

    `has_responders` says whether the report has responder rates of the same measure to point at.

    >>> against_mcid((0.90, 0.62, 1.17), "2 points", randomized=True, has_responders=False)
    '0.90 of the MCID of 2 points (0.62 to 1.17), superiority of uncertain importance, because the interval excludes 0 \
but includes one MCID'
    """
    value, low, high = limits
    word, why = _reading(low, high)
    size = f"{number(value, 2)} of the MCID of {mcid} ({span(low, high, 2)})"
    people = f"; {PEOPLE}" if has_responders and (word == UNLIKELY or word.endswith(LESS)) else ""
    return f"{size}, {_worded(word, randomized)}, because {why}{people}"


def _worded(word: str, randomized: bool) -> str:
    """Without random allocation a difference is favorable, not superior."""
    if randomized:
        return word
    return word.replace(SUPERIOR, "a favorable difference").replace(INFERIOR, "an unfavorable difference")


def _reading(low: float, high: float) -> tuple[str, str]:
    """The verdict with its qualification, and what the interval shows."""
    word = verdict(low, high, True)
    if word in (SUPERIOR, INFERIOR):
        near, far = (low, high) if word == SUPERIOR else (-high, -low)
        if near >= 1:
            return f"{word} of at least one MCID", "the whole interval lies beyond it"
        if far >= 1:
            return f"{word} of uncertain importance", "the interval excludes 0 but includes one MCID"
        return f"{word} {LESS}", "the interval excludes both 0 and one MCID"
    if word == INCONCLUSIVE:
        beyond = ["one MCID"] * (high >= 1) + ["one MCID in the other direction"] * (low <= -1)
        return word, f"the interval includes {listed(['0', *beyond])}"
    return word, "on average the interval excludes one MCID either way"


def without_mcid(low: float, high: float, recalled: bool = False) -> str:
    """A difference on a measure without an MCID to judge by: none is registered, or it is recalled.

    >>> without_mcid(2.2, 7.1)
    'the interval excludes 0; no MCID is registered for this measure, so its importance cannot be judged'
    """
    zero = "includes" if low <= 0 <= high else "excludes"
    lacking = f"{NOT_VERIFIED} for the MCID of this measure" if recalled else "no MCID is registered for this measure"
    return f"the interval {zero} 0; {lacking}, so its {WITHOUT_MCID}"


def responders(outcome: str, arms: Mapping[str, str]) -> str:
    """Responders by group, missing scores counted as not achieved; each text is "33 of 50 (66%)" or "withheld".

    >>> responders("Pain: final score 1 or better", {"PRT": "33 of 50 (66%)", "usual": "withheld"})
    'Pain: final score 1 or better, with missing scores counted as not achieved: 33 of 50 (66%) in PRT and \
withheld in usual.'
    """
    if set(arms.values()) == {WITHHELD}:
        return f"{outcome}: how many people reached this is withheld."
    shown = listed([f"{text} in {arm}" for arm, text in arms.items()])
    return f"{outcome}, with missing scores counted as not achieved: {shown}."


def responder_difference(pair: tuple[str, str], text: str, conf_level: float) -> str:
    """The difference behind two shares of responders; `text` is "13.0 (0.5 to 24.9)" in percentage points.

    >>> responder_difference(("video", "clinic"), "13.0 (0.5 to 24.9)", 0.95)
    'Difference between video and clinic, in percentage points with its 95% interval: 13.0 (0.5 to 24.9), not \
adjusted.'
    """
    return (f"Difference between {pair[0]} and {pair[1]}, in percentage points with its {100 * conf_level:g}% "
            f"interval: {text}, not adjusted.")


def few_compared(n: int, allocated: int, share: str) -> str:
    """A caution beside a comparison that leaves out much of those allocated.

    >>> few_compared(141, 245, "57.6%")
    'Caution: this compares only 141 of the 245 people allocated to these groups (57.6%). Those who are not in it may \
have done otherwise, so it does not settle the question.'
    """
    return (f"Caution: this compares only {number(n, 0)} of the {number(allocated, 0)} people allocated to these "
            f"groups ({share}). Those who are not in it may have done otherwise, so it does not settle the question.")


def responders_elsewhere(outcome: str) -> str:
    """Responders whose threshold must not lead a headline.

    >>> responders_elsewhere("Pain: improved by at least one MCID (threshold not verified)")
    'Responders (Pain: improved by at least one MCID (threshold not verified)) are shown in their own section.'
    """
    return f"Responders ({outcome}) are shown in their own section."


def missing_scores(outcome: str, arms: Mapping[str, str]) -> str:
    """Eligible people without a final score, by group.

    >>> missing_scores("Pain", {"PRT": "6", "usual": "3"})
    'Pain has no final score for 6 people in PRT and 3 in usual.'
    """
    if set(arms.values()) == {"0"}:
        return f"{outcome} has a final score for everybody."
    if set(arms.values()) == {WITHHELD}:
        return f"{outcome}: how many people have no final score is withheld."
    (arm, n), *rest = arms.items()
    people = "" if n == WITHHELD else " person" if n == "1" else " people"
    groups = listed([f"{n}{people} in {arm}", *(f"{n} in {arm}" for arm, n in rest)])
    return f"{outcome} has no final score for {groups}."


def withheld(n: int, of: int, policy: str, threshold: object = None) -> str:
    """What the privacy policy hid.

    >>> withheld(12, 300, "cms_11", 11)
    '12 of 300 numbers (rows of results.csv) are withheld under the privacy policy cms_11: \
fewer than 11 people stand behind each or behind what \
it leaves over, or a hidden number could be worked out from it.'
    """
    if n == 0:
        return f"Nothing is withheld under the privacy policy {policy}."
    people = f"fewer than {threshold} people" if threshold else "too few people"
    verb, whose = ("is", "it") if n == 1 else ("are", "each")
    return (f"{n} of {plural(of, 'number')} (rows of results.csv) {verb} withheld under the privacy policy {policy}: "
            f"{people} stand behind {whose} or behind what it leaves over, or a hidden number could be worked out from "
            "it.")


def not_randomized(kind: str = "") -> str:
    """What a comparison without random allocation cannot tell.

    >>> not_randomized("pre_post")
    'Uncontrolled before-after change; natural recovery and regression to the mean cannot be separated from it.'
    """
    if kind == "pre_post":
        return ("Uncontrolled before-after change; natural recovery and regression to the mean cannot be separated "
                "from it.")
    return ("Groups were not formed at random: other differences between them may explain a difference in outcome, "
            "so no cause is claimed.")


def no_data(what: str) -> str:
    """An empty section.

    >>> no_data("flow of participants")
    'No data on the flow of participants are available for this study.'
    """
    return f"No data on the {what} are available for this study."
