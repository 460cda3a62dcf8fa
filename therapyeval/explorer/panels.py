"""An answer of the explorer as HTML: what is known, how sure, and who is missing. Formats, never computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from html import escape

from therapyeval.display import cells
from therapyeval.display.cells import Record, first, is_withheld, number, records, remark
from therapyeval.display.labels import Labels, plain
from therapyeval.display.theme import (
    ACCENT,
    ALERT_INK,
    ALERT_PAPER,
    ALERT_RULE,
    INK,
    PAPER,
    QUIET,
    RULE,
    TINT,
)
from therapyeval.explorer.crossfilter import COMPARED, EVERYTHING
from therapyeval.formatting import NOTHING, WITHHELD, is_missing, listed, plural
from therapyeval.measures import Measure
from therapyeval.result import COMPLETE_CASE, MISSING_NOT_ACHIEVED, Bundle, Result

ENOUGH_PAIRS = 0.75  # data completeness that CMS asks for (MIPS 2025-2028): quarterly review, section 1
LIVE = "Not released: do not share."
LIVE_LINE = "This screen also shows small groups. Only the view released under the policy {policy} is ever saved."
SAVED_LINE = "Released under the policy {policy}. {reason} Run the cell again to use the filters."
BARE_LINE = "Shares are not adjusted for who was treated: sites and quarters may differ in their patients."

CSS = f"""
.te-x {{ color: {INK}; background: {PAPER}; font: 14px/1.45 Arial, Helvetica, "Liberation Sans", sans-serif;
  max-width: 76rem; font-variant-numeric: tabular-nums lining-nums; container-type: inline-size; }}
.te-x * {{ box-sizing: border-box; }}
.te-x p {{ margin: 0; }}
.te-x h3 {{ font-size: 14px; line-height: 1.3; font-weight: 600; margin: 0 0 .35rem; color: {INK}; }}
.te-x h2 {{ font-size: 20px; line-height: 1.3; font-weight: 650; margin: 0; }}
.te-x-filters {{ grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)); gap: .5rem .9rem;
  max-width: 76rem; padding: .4rem 0 .6rem; }}
.te-x-filter.jupyter-widgets {{ flex-direction: column; align-items: stretch; font: 14px/1.4 Arial, sans-serif; }}
.te-x-filter.jupyter-widgets > .widget-label {{ width: auto; height: auto; text-align: left; font-size: 13px;
  font-weight: 600; line-height: 1.6; color: {INK}; padding: 0; }}
.te-x-filter.jupyter-widgets > select {{ flex: 0 0 34px; height: 34px; width: 100%; margin: 0; font-size: 14px;
  color: {INK}; border: 1px solid {QUIET}; border-radius: 3px; text-overflow: ellipsis; }}
.te-x small, .te-x .te-x-quiet {{ font-size: 12.5px; font-weight: 400; color: {QUIET}; }}
.te-x .te-x-whom {{ font-size: 17px; line-height: 1.35; margin: .3rem 0 .4rem; }}
.te-x .te-x-cards {{ display: grid; gap: .75rem; grid-template-columns: repeat(4, minmax(0, 1fr)); }}
.te-x .te-x-card, .te-x .te-x-pairs {{ border: 1px solid {RULE}; border-radius: 4px; padding: .75rem .9rem; }}
.te-x .te-x-pairs {{ margin-bottom: .75rem; background: {TINT}; }}
.te-x .te-x-card p + p {{ margin-top: .3rem; }}
.te-x .te-x-big {{ font-size: 26px; line-height: 1.15; font-weight: 650; color: {ACCENT}; }}
.te-x .te-x-big span {{ font-size: 15px; font-weight: 400; color: {INK}; }}
.te-x .te-x-card .te-x-big span {{ display: block; line-height: 1.3; margin-top: .15rem; }}
.te-x .te-x-second {{ border-top: 1px solid {RULE}; margin-top: .5rem !important; padding-top: .45rem; }}
.te-x .te-x-bar {{ display: flex; height: .8rem; margin: .35rem 0; background: {PAPER}; border: 1px solid {QUIET};
  max-width: 44rem; }}
.te-x .te-x-bar i {{ background: {ACCENT}; }}
.te-x .te-x-careful {{ color: {ALERT_INK}; background: {ALERT_PAPER}; border-left: 4px solid {ALERT_RULE};
  padding: .35rem .6rem; margin-top: .5rem !important; font-size: 12.5px; }}
.te-x .te-x-compared {{ display: grid; gap: .75rem 1.6rem; margin-top: .9rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }}
.te-x table {{ border-collapse: collapse; width: 100%; margin: 0; font-size: 13px; table-layout: auto; }}
.te-x tr, .te-x tbody tr:nth-child(odd), .te-x tbody tr:hover {{ background: {PAPER}; }}
.te-x th, .te-x td {{ padding: .22rem .5rem; border: 0; border-top: 1px solid {RULE}; text-align: left;
  font-weight: 400; vertical-align: middle; color: {INK}; }}
.te-x thead th {{ border-top: 0; color: {QUIET}; font-size: 12px; vertical-align: bottom; }}
.te-x th:first-child {{ padding-left: .4rem; border-left: 4px solid transparent; white-space: nowrap; }}
.te-x .te-x-on > * {{ background: {TINT}; font-weight: 650; }}
.te-x .te-x-on > :first-child {{ border-left-color: {ACCENT}; }}
.te-x .te-x-track {{ width: 45%; min-width: 6.5rem; }}
.te-x .te-x-track div {{ position: relative; height: 1.1rem;
  background: linear-gradient(90deg, {RULE} 1px, transparent 1px) 0 0 / 25% 100%; border-right: 1px solid {RULE}; }}
.te-x .te-x-track i {{ position: absolute; top: calc(50% - 1px); height: 2px; background: {ACCENT}; }}
.te-x .te-x-track b {{ position: absolute; top: calc(50% - 4.5px); width: 9px; height: 9px; margin-left: -4.5px;
  border-radius: 50%; background: {ACCENT}; }}
.te-x .te-x-ends {{ display: flex; justify-content: space-between; }}
.te-x .te-x-number {{ text-align: right; white-space: nowrap; }}
.te-x .te-x-withheld {{ color: {QUIET}; font-style: italic; font-weight: 400; }}
.te-x-wide {{ overflow-x: auto; }}
.te-x-wide > div + div {{ margin-top: .9rem; }}
.te-x-wide td {{ white-space: nowrap; }}
.te-x .te-x-state {{ margin: 0 0 .75rem !important; }}
@container (max-width: 56rem) {{ .te-x .te-x-cards {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }} }}
@container (max-width: 30rem) {{
  .te-x .te-x-track {{ min-width: 5rem; width: 34%; }}
  .te-x .te-x-cards {{ grid-template-columns: minmax(0, 1fr); }}
  .te-x-number small {{ display: block; }}
  .te-x-whom {{ font-size: 16px; }}
}}
"""


def labels_of(measures: Mapping[str, Measure]) -> Labels:
    """Names, scales and thresholds of measures, as display takes them."""
    return Labels(measures={code: {**asdict(measure), "warnings": measure.warnings}
                            for code, measure in measures.items()})


def panel(answer: Bundle, labels: Labels, policy: str, reason: str = "") -> str:
    """Everything below the filters. The second line says whether it may be shared."""
    level = next((table.result.conf_level for table in answer.tables), 0.95)
    code = answer.record["selection"]["measure"]
    cards = (_change(answer, labels, code, level), _responders(answer, labels, code, level),
             _visits(answer, level), _discharges(answer, level))
    return (f'<div class="te-x" role="region" aria-label="Answers">{_whom(answer)}'
            f'{_state(answer, policy, reason)}{_pairs(answer, labels, code)}'
            f'<div class="te-x-cards">{"".join(cards)}</div>{_compared(answer, level)}</div>')


def plain_panel(sentence: str) -> str:
    """One sentence in place of the answers."""
    return f'<div class="te-x"><p class="te-x-careful" role="alert">{escape(sentence)}</p></div>'


def is_released(answer: Bundle) -> bool:
    """Whether every table of the answer was released."""
    return all(table.result.policy is not None for table in answer.tables)


def _row(answer: Bundle, name: str, **wanted: object) -> Record | None:
    return first(answer.section(EVERYTHING).get(name), **wanted)


def _whom(answer: Bundle) -> str:
    row = _row(answer, "days", statistic="median")
    n = None if row is None else _total(row)
    ended = f"Episodes of care that ended: {WITHHELD}." if n is None else f"{plural(n, 'episode')} of care ended."
    found = "" if row is None else f" {ended}"
    return f'<p class="te-x-whom"><strong>{escape(answer.title)}.</strong>{escape(found)}</p>'


def _total(row: Record) -> int | None:
    """Units used, missing and excluded together; None where one is hidden."""
    parts = [row[name] for name in ("n", "n_missing", "n_excluded")]
    return None if any(is_missing(part) for part in parts) else sum(parts)


def _pairs(answer: Bundle, labels: Labels, code: str | None) -> str:
    """Who has both scores: always visible, because all outcomes rest on it."""
    row = _row(answer, "completion")
    what = labels.measure(code) if code else "primary measure or any other"
    head = f"<h3>Paired outcome completion: {escape(what)}</h3>"
    if row is None:
        return f'<div class="te-x-pairs">{head}{_problem(answer, "completion")}</div>'
    share = _big(cells.share(row), "of eligible episodes have a first and a final score", row)
    bar = ""
    if not is_missing(row["estimate"]):
        bar = f'<div class="te-x-bar" aria-hidden="true"><i style="width:{100 * row["estimate"]:.1f}%"></i></div>'
    few = not is_missing(row["estimate"]) and row["estimate"] < ENOUGH_PAIRS
    careful = _careful("Below 75%: patients without a final score may have done worse or better than those seen "
                       "here." if few else "")
    return f'<div class="te-x-pairs">{head}{share}{bar}<p>{_pair_counts(answer, row)}</p>{careful}</div>'


def _pair_counts(answer: Bundle, row: Record) -> str:
    """Both scores, no pair, not eligible with reasons."""
    both, eligible = row["numerator"], row["denominator"]
    known = not (is_missing(both) or is_missing(eligible))
    said = [f"<strong>{cells.of(row)}</strong> eligible episodes; {number(eligible - both, 0)} lack a score"
            if known else f"Eligible episodes: {_hidden(row)}"]
    if not is_missing(row["n_excluded"]) and row["n_excluded"] > 0:
        said.append(f"not eligible: {number(row['n_excluded'], 0)}{_reasons(answer.get(EVERYTHING, 'completion'))}")
    return "; ".join(said) + "."


def _reasons(result: Result) -> str:
    left = [(row["reason"], row["n"]) for row in result.exclusions.to_dict("records") if not is_missing(row["n"])]
    largest = sorted(left, key=lambda item: -item[1])[:3]
    return escape(f" ({listed([f'{_words(reason)} {number(n, 0)}' for reason, n in largest])})") if largest else ""


def _words(reason: object) -> str:
    return str(reason).replace("_", " ")


def _change(answer: Bundle, labels: Labels, code: str | None, level: float) -> str:
    row = _row(answer, "change", statistic="mean")
    if row is None:
        return _card("Change in score", _problem(answer, "change"))
    digits, size, unit = cells.score_digits([row]), labels.mcid(code), labels.unit(code)
    value = row["estimate"]
    many = f"{unit}s" if unit == "level" else unit
    word = "" if is_missing(value) else f"{many} {'better' if value >= 0 else 'worse'} on average"
    text = cells.estimate(row, digits).partition(" (")[0].removeprefix("−")
    interval = _interval(row, digits, level)
    mcid = f"MCID {plain(size)} {unit}" if size else "no MCID registered"
    return _card(f"Change in score: {labels.short(code)}", _big(text, word, row), interval, _n(row, "with both scores"),
                 _quiet(f"Scale: {labels.scale(code)}; {mcid}.{_minus(row)}"))


def _minus(row: Record) -> str:
    return " In the interval, a minus means worse." if cells.has_interval(row) and row["conf_low"] < 0 else ""


def _responders(answer: Bundle, labels: Labels, code: str | None, level: float) -> str:
    result = answer.section(EVERYTHING).get("responders")
    if result is None:
        return _card("Responders", _problem(answer, "responders"))
    strict = first(result, estimand=MISSING_NOT_ACHIEVED)
    lenient = first(result, estimand=COMPLETE_CASE)
    size = labels.mcid(code)
    threshold = f"{plain(size)} {labels.unit(code)}" if size else "that of each measure"
    source = labels.measures.get(code or "", {}).get("mcid_source") or ""
    warnings = " ".join(f"{text[:1].upper()}{text[1:]}." for text in labels.warnings(code)) if code else ""
    return _card("Responders: improved by at least one MCID",
                 _big(_head(strict), "if a missing score counts as not improved", strict),
                 _interval(strict, None, level), _of(strict, "eligible episodes"),
                 f'<p class="te-x-second">{_text(cells.share(lenient))} of those with both scores</p>',
                 _of(lenient, "with both scores"),
                 _quiet(f"MCID: {threshold}{f', {source}' if source else ''}."), _careful(warnings))


def _visits(answer: Bundle, level: float) -> str:
    mean, median, p90 = (_row(answer, "visits", statistic=name) for name in ("mean", "median", "p90"))
    if mean is None:
        return _card("Visits per episode", _problem(answer, "visits"))
    spread = [f"Median {number(median['estimate'], 0)}" if _known(median) else "",
              f"one in ten had more than {number(p90['estimate'], 0)}" if _known(p90) else ""]
    return _card("Visits per episode", _big(cells.estimate(mean, 1).partition(" (")[0], "visits on average", mean),
                 _interval(mean, 1, level), _n(mean, "with a visit"), _quiet("; ".join(filter(None, spread)) + "."))


def _discharges(answer: Bundle, level: float) -> str:
    goals, days = _row(answer, "goals"), _row(answer, "days", statistic="median")
    parts = [_problem(answer, "goals")] if goals is None else [
        _big(_head(goals), "of discharges met their goals", goals), _interval(goals, None, level),
        _of(goals, "discharges with a known outcome"), _missing(goals)]
    if _known(days):
        limits = f" ({cells.span(days['conf_low'], days['conf_high'], 0)})" if cells.has_interval(days) else ""
        parts.append(_quiet(f"Care lasted {number(days['estimate'], 0)} days{limits}, the median of "
                            f"{cells.count(days)} episodes."))
    return _card("Discharges", *parts)


def _compared(answer: Bundle, level: float) -> str:
    heads = {"site_id": "Responders by site", "period": "Responders by quarter"}
    selection = answer.record["selection"]
    tables = [_dots(result, name, heads[name], selection[name], level)
              for name, result in answer.section(COMPARED).items()]
    if not tables:
        return ""
    return f'<div class="te-x-compared">{"".join(tables)}</div><p class="te-x-quiet">{BARE_LINE}</p>'


def _dots(result: Result, column: str, head: str, chosen: str | None, level: float) -> str:
    """One line per group: its share on a scale of 0 to 100% with the interval, and in figures."""
    body = "".join(_dot(row, str(row[column]), chosen) for row in records(result, estimand=MISSING_NOT_ACHIEVED))
    return (f"<div><h3>{head} <small>missing scores count as not improved</small></h3><table><thead><tr>"
            f'<th scope="col"></th><th class="te-x-track" scope="col"><span class="te-x-ends"><span>0%</span>'
            f'<span>50%</span><span>100%</span></span></th><th class="te-x-number" scope="col">{100 * level:g}% '
            f"interval; n</th></tr></thead><tbody>{body}</tbody></table></div>")


def _dot(row: Record, name: str, chosen: str | None) -> str:
    mark = ""
    if cells.has_interval(row) and _known(row):
        low, high, value = (100 * row[key] for key in ("conf_low", "conf_high", "estimate"))
        mark = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i><b style="left:{value:.1f}%"></b>'
    counts = f" <small>{cells.of(row)}</small>" if cells.of(row) else ""
    return (f'<tr{" class=te-x-on" if name == chosen else ""}><th scope="row">{escape(name)}</th>'
            f'<td class="te-x-track" aria-hidden="true"><div>{mark}</div></td>'
            f'<td class="te-x-number">{_text(cells.share(row))}{counts}</td></tr>')


def _state(answer: Bundle, policy: str, reason: str) -> str:
    if is_released(answer):
        return f'<p class="te-x-state te-x-quiet">{escape(SAVED_LINE.format(policy=policy, reason=reason))}</p>'
    return f'<p class="te-x-state te-x-careful"><strong>{LIVE}</strong> {escape(LIVE_LINE.format(policy=policy))}</p>'


def _card(head: str, *parts: str) -> str:
    return f'<div class="te-x-card"><h3>{escape(head)}</h3>{"".join(parts)}</div>'


def _big(text: str, word: str, row: Record | None) -> str:
    """The main number; where there is none, what is said instead."""
    if text in (NOTHING, WITHHELD):
        why = remark(row) if row is not None and text == NOTHING else ""
        return f'<p class="te-x-big te-x-withheld">{text}</p>{_quiet(why)}'
    return f'<p class="te-x-big">{escape(text.partition(" (")[0])} <span>{escape(word)}</span></p>'


def _head(row: Record | None) -> str:
    return cells.share(row).partition(" (")[0]


def _interval(row: Record | None, digits: int | None, level: float) -> str:
    if row is None or not cells.has_interval(row):
        return ""
    text = cells.share(row) if digits is None else cells.estimate(row, digits)
    unit = "%" if digits is None else ""
    return f"<p>{100 * level:g}% interval {escape(text.partition(' (')[2].removesuffix(')'))}{unit}</p>"


def _n(row: Record, words: str) -> str:
    """Units with a value, people behind them, and who is missing."""
    people = "" if is_missing(row["n_people"]) else f" (people: {number(row['n_people'], 0)})"
    return f"<p>n {_text(cells.count(row))} {words}{people}</p>{_missing(row)}"


def _of(row: Record | None, words: str) -> str:
    text = cells.of(row)
    return f"<p>{text} {words}</p>" if text else ""


def _missing(row: Record) -> str:
    if is_missing(row["n_missing"]):
        return _quiet(f"Missing: {_hidden(row)}.")
    return _quiet(f"Missing: {number(row['n_missing'], 0)}. Not eligible: {cells.count(row, 'n_excluded')}.")


def _hidden(row: Record) -> str:
    return WITHHELD if is_withheld(row) else NOTHING


def _known(row: Record | None) -> bool:
    return row is not None and not is_missing(row["estimate"])


def _text(text: str) -> str:
    return f'<span class="te-x-withheld">{text}</span>' if text in (WITHHELD, NOTHING) else escape(text)


def _quiet(text: str) -> str:
    return f'<p class="te-x-quiet">{escape(text)}</p>' if text else ""


def _careful(text: str) -> str:
    return f'<p class="te-x-careful">{escape(text)}</p>' if text else ""


def _problem(answer: Bundle, name: str) -> str:
    return f"<p>{escape(answer.record['problems'].get(name, 'No answer.'))}</p>"
