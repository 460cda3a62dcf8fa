"""The pair of scores of each episode and measure, or why there is none.

Source: metric definitions, sections 1 (primary measure) and 6 (windows, reasons). All bounds inclusive.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import empty_frame, looked_up, with_absent
from therapyeval.data.mapping import Mapping
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger

BASELINE_DAYS = 7  # either side of the start
FINAL_BEFORE, FINAL_AFTER = 14, 7  # days around the last attended visit
APART = 7  # least days between the two
WHY = ("no_baseline", "baseline_window", "no_final", "final_window", "too_close", "version", "scale", "respondent",
       "out_of_range", "conflict")
MUST_AGREE = {"version": "version", "scale": "scale", "respondent": "respondent"}
KEY = ["episode", "measure"]
COLUMNS = {"episode": "int32", "patient": "int32", "measure": "str", "baseline": "float64", "final": "float64",
           "interim": "float64", "baseline_se": "float64", "final_se": "float64", "baseline_date": "datetime64[s]",
           "final_date": "datetime64[s]", "days_apart": "float64",
           "why_unpaired": "str", "missing_reason": "str", "has_score": "bool", "is_primary": "bool",
           "is_assigned": "bool"}


def score_facts(connection, assessments, episodes: pd.DataFrame, chains, cut: pd.Timestamp, mapping: Mapping,
                measures: MappingType[str, object], ledger: Ledger) -> pd.DataFrame:
    """One row per episode and measure with any row, or that `measure_set` assigns to the episode; see COLUMNS.

    Assessments that no fact can use are set aside; entries of one day that were corrected or repeated are merged and
    counted. `baseline` and `final` are valid scores, NaN where there is none, and given also where they are no pair.
    `interim` is the last valid score at least 7 days after the baseline (where occasions are declared, the last interim
    one) that agrees with it; it may be the final score. `is_assigned` says that the set names the measure for the
    episode, so that a patient who was never measured is eligible too.

    Parameters
    ----------
    assessments : Ibis table: checked and numbered
    episodes : facts about episodes
    chains : Ibis table of source episodes, each with the episode that it is `merged` into
    """
    spans = episodes[["episode", "patient", "start_date"]].assign(
        last=episodes["last_visit_date"].fillna(episodes["end_date"]), ended=episodes["end_date"].notna())
    spans = engine.load(connection, "spans", spans)
    rows = linked_assessments(connection, assessments, spans, chains, cut, ledger)
    rows, pairs, keys, reasons = score_pairs(connection, rows, spans, measures, mapping.timepoint_rule)
    count_repeats(rows, mapping.timepoint_rule, ledger)
    return _finished(pairs, keys, reasons, episodes, measures, mapping.measure_set)


def score_pairs(connection, rows, spans, measures: MappingType[str, object], rule: str):
    """The rows as they are paired, the pair of each episode and measure, all of these, and reasons why one is missing.

    Parameters
    ----------
    rows : Ibis table: assessments with their `episode`
    spans : Ibis table: episode, patient, start_date, last (day from which the final score is sought), ended
    """
    rows = engine.keep(connection, "assessments", _prepared(connection, rows, measures))
    days = engine.keep(connection, "score_days", _by_day(rows, rule))
    pairs = _pairs(connection, _placed(days, spans, rule), rule)
    reasons = rows.filter(rows.missing_reason.notnull()).select(*KEY, "missing_reason").distinct()
    return rows, pairs, engine.fetch(rows.select(*KEY).distinct()), engine.fetch(reasons)


def linked_assessments(connection, rows, spans, chains, cut: pd.Timestamp, ledger: Ledger):
    """Assessments up to the data cut with the episode of the facts: by `episode_id`, else `_by_patient`."""
    import ibis

    rows = engine.with_absent(rows, episode_id="string", episode="int32")
    rows = engine.looked_up(rows, chains, "episode", _merged="merged")
    only = engine.keep(connection, "assessments_of_patients", _by_patient(rows.filter(rows.episode_id.isnull()), spans))
    rows = engine.looked_up(rows, only, "_at", _only="_only")
    rows = rows.mutate(episode=ibis.coalesce(rows["_merged"], rows["_only"])).drop("_merged")
    rows = engine.looked_up(rows.drop("_only"), spans, "episode", _patient="patient")
    state = ibis.cases((rows.date > cut.date(), "later"), (rows["_patient"] != rows.patient, "other"),
                       (rows.episode.isnull(), "loose"), else_=None)
    rows = engine.keep(connection, "assessments_linked", rows.mutate(_state=state).drop("_patient"))
    aside = engine.fetch(rows.filter(rows["_state"].notnull()).select("_at", "_file", "_row", "_state").order_by("_at"))
    for fate, state, reason in ((LEFT_OUT, "later", "after the data cut"),
                                (QUARANTINED, "other", "patient_id is not that of its episode"),
                                (LEFT_OUT, "loose", "its episode is not in the facts")):
        ledger.set_aside(fate, "assessments", aside[aside["_state"] == state], reason)
    return rows.filter(rows["_state"].isnull())


def _by_patient(rows, spans):
    """`_only`: the episode of each row (`_at`) of a patient with one, of several the only one that holds its day."""
    import ibis

    spans = spans.select("start_date", "last", "ended", one="episode", of="patient")
    rows = rows.select("_at", "patient", "date")
    seen = rows.join(spans, rows.patient == spans.of)
    after = seen.date.delta(seen["last"], unit="day") <= FINAL_AFTER
    holds = (seen.date.delta(seen.start_date, unit="day") >= -BASELINE_DAYS) & (~seen.ended | after)
    seen = seen.mutate(_holds=holds.fill_null(False))
    seen = seen.group_by("_at").aggregate(n=seen.count(), n_held=seen["_holds"].sum(), one=seen.one.min(),
                                          held=seen.one.min(where=seen["_holds"]))
    return seen.select("_at", _only=ibis.cases((seen.n == 1, seen.one), (seen.n_held == 1, seen.held), else_=None))


def _prepared(connection, rows, measures: MappingType[str, object]):
    """What pairing needs of each row; `within`: whether the score is in the range of its measure."""

    limits = pd.DataFrame({"measure_code": list(measures), "low": [item.minimum for item in measures.values()],
                           "high": [item.maximum for item in measures.values()]}).astype(
                               {"low": "float64", "high": "float64"})
    limits = engine.load(connection, "measure_limits", limits)
    rows = engine.looked_up(rows, limits, "measure_code", _low="low", _high="high")
    rows = engine.with_absent(rows, measure_version="string", score_scale="string", respondent="string",
                              timepoint="string", missing_reason="string", finalized_dt="timestamp",
                              finalized_dt_offset="int32", se="float64")
    outside = (rows.score < rows["_low"]).fill_null(False) | (rows.score > rows["_high"]).fill_null(False)
    finalized = rows.finalized_dt - rows.finalized_dt_offset.fill_null(0).as_interval("m")
    return rows.select("_at", "_file", "_row", "episode", "score", "se", "date", "respondent", "timepoint",
                       "missing_reason", measure="measure_code", version="measure_version", scale="score_scale",
                       row="_at", within=rows.score.notnull() & ~outside,
                       finalized=finalized.epoch_seconds().fill_null(0))


def _day(rule: str) -> list[str]:
    return [*KEY, "date", *(["timepoint"] if rule == "declared" else [])]


def _by_day(table, rule: str):
    """One row per episode, measure and day (and timepoint where declared): the entry finalised last.

    Equal times and different scores are a conflict: no score of that day is valid.
    """
    import ibis

    scored = table.filter(table.score.notnull())
    scored = scored.mutate(last=scored.finalized.max().over(ibis.window(group_by=_day(rule))))
    scored = scored.filter(scored.finalized == scored.last)
    kept = {"timepoint": scored.timepoint.min()} if rule != "declared" else {}
    days = scored.group_by(_day(rule)).aggregate(
        row=scored.row.min(), score=scored.score.min(), se=scored.se.min(),
        conflict=scored.score.min() != scored.score.max(), within=scored.within.all(),
        version=scored.version.min(), scale=scored.scale.min(), respondent=scored.respondent.min(), **kept)
    return days.mutate(valid=days.within & ~days.conflict)


def count_repeats(rows, rule: str, ledger: Ledger) -> None:
    """Entries replaced by a later one, or entered again on the same day, are merged; conflicts are pointed out."""
    import ibis

    day = ibis.window(group_by=_day(rule))
    scored = rows.filter(rows.score.notnull())
    scored = scored.mutate(n=scored.count().over(day), last=scored.finalized == scored.finalized.max().over(day))
    shared = scored.filter((scored.n > 1) | ~scored.within)
    lowest, highest, first = (value.over(day) for value in (
        shared.score.min(where=shared["last"]), shared.score.max(where=shared["last"]),
        shared.row.min(where=shared["last"])))
    shared = shared.mutate(clash=shared["last"] & (lowest != highest), first=shared.row == first)
    flags = engine.fetch(shared.select("_at", "_file", "_row", "clash", "first", "within").order_by("_at"))
    keep = flags["clash"] | flags["first"]
    ledger.set_aside(MERGED, "assessments", flags[~keep],
                     "entered again on the same day: the entry finalised last counts")
    ledger.problem("warning", "assessments", flags[flags["clash"]],
                   "two scores on one day, finalised at the same time; neither is used (conflict)",
                   "Find out which one is right and correct the export.")
    ledger.problem("warning", "assessments", flags[keep & ~flags["within"]],
                   "score outside the range of its measure; not a valid score (out_of_range)",
                   "Check the scale and version: `therapyeval measures CODE` prints the range.")
    ledger.use_counts("assessments", engine.by_file(rows).sub(flags[~keep].groupby("_file").size(), fill_value=0))


def _placed(days, spans, rule: str):
    """Each scored day with its place: in the window of the baseline, in that of the final score, or meant for one.

    Outside the windows a score was meant for what its label says; without a label, for either.
    """
    import ibis

    if rule == "declared":
        no = ibis.literal(False)
        return days.mutate(distance=ibis.literal(0), ended=ibis.literal(True), for_base=no, for_final=no,
                           in_base=(days.timepoint == schema.INITIAL).fill_null(False),
                           in_final=(days.timepoint == schema.DISCHARGE).fill_null(False))
    days = days.join(spans.drop("patient"), "episode")
    from_start, from_last = days.date.delta(days.start_date, unit="day"), days.date.delta(days["last"], unit="day")
    in_final = (days.ended & from_last.between(-FINAL_BEFORE, FINAL_AFTER)).fill_null(False)
    in_base, unlabelled = (from_start.abs() <= BASELINE_DAYS).fill_null(False), days.timepoint.isnull()
    return days.mutate(
        distance=from_start.abs(), in_base=in_base, in_final=in_final,
        for_base=((days.timepoint == schema.INITIAL) | (unlabelled & ~in_final)).fill_null(False),
        for_final=((days.timepoint == schema.DISCHARGE) | (unlabelled & ~in_base)).fill_null(False))


def _pairs(connection, days, rule: str) -> pd.DataFrame:
    """Baseline and final score of each episode and measure, and the first reason why they are no pair."""
    import ibis

    value = ["score", "se", "date", *MUST_AGREE]
    nearest = ibis.window(group_by=KEY, order_by=["distance", "date", "row"])
    base = days.filter(days.valid & days.in_base)
    base = base.mutate(place=ibis.row_number().over(nearest)).filter(ibis._.place == 0).select(*KEY, *value)
    days = days.left_join(base, KEY, rname="base_{name}").drop("base_episode", "base_measure")
    apart = days.date.delta(days.base_date, unit="day")
    if rule == "declared":
        days = days.mutate(after=ibis.literal(True), far=ibis.literal(True))
    else:
        days = days.mutate(after=(apart > 0).fill_null(True), far=(apart >= APART).fill_null(True))
    days = engine.keep(connection, "placed_scores", days)
    latest = ibis.window(group_by=KEY, order_by=[ibis.desc("date"), "row"])
    final = days.filter(days.valid & days.in_final & days.far)
    final = final.mutate(place=ibis.row_number().over(latest)).filter(ibis._.place == 0).select(*KEY, *value)
    interim = _interim(days, rule, latest)
    seen = days.group_by(KEY).aggregate(**_evidence(days))
    pairs = seen.left_join(base, KEY, rname="base_{name}").drop("base_episode", "base_measure")
    pairs = pairs.rename(**{f"base_{name}": name for name in value})
    pairs = pairs.left_join(final, KEY, rname="final_{name}").drop("final_episode", "final_measure")
    pairs = pairs.rename(**{f"final_{name}": name for name in value})
    pairs = pairs.left_join(interim, KEY, rname="interim_{name}").drop("interim_episode", "interim_measure")
    return engine.fetch(pairs.mutate(why_unpaired=_why(pairs)).select(
        *KEY, "why_unpaired", "has_score", "interim", baseline="base_score", final="final_score",
        baseline_se="base_se", final_se="final_se", baseline_date="base_date",
        final_date="final_date"))


def _interim(days, rule: str, latest):
    """The last valid score after the baseline that agrees with it, whatever the window."""
    import ibis

    on_time = days.timepoint == "interim" if rule == "declared" else days.far & days.base_date.notnull()
    agree = [days[name].identical_to(days[f"base_{name}"]) for name in MUST_AGREE]
    found = days.filter(days.valid & on_time & days.base_score.notnull(), *agree)
    found = found.mutate(place=ibis.row_number().over(latest)).filter(ibis._.place == 0)
    return found.select(*KEY, interim="score")


def _evidence(days) -> dict:
    """What was seen of each episode and measure, to say why a score is not there."""
    due = days.in_final & days.far & days.after
    return {
        "has_score": days.valid.any(), "ended": days.ended.any(),
        "base_in": days.in_base.any(), "base_meant": days.for_base.any(),
        "base_range": (days.in_base & ~days.within & ~days.conflict).any(),
        "base_clash": (days.in_base & days.conflict).any(),
        "final_in": due.any(), "final_near": (days.in_final & days.after & ~days.far).any(),
        "final_meant": (days.for_final & days.after).any(),
        "final_range": (due & ~days.within & ~days.conflict).any(), "final_clash": (due & days.conflict).any()}


def _why(pairs):
    """The reason why a pair is not one; the first of WHY that applies, "" for a pair."""
    import ibis

    no_base, no_final = pairs.base_score.isnull(), pairs.final_score.isnull()
    early = no_final & ~pairs.final_in & ~pairs.final_near
    differs = {name: ~no_base & ~no_final & ~pairs[f"base_{name}"].identical_to(pairs[f"final_{name}"])
               for name in MUST_AGREE}
    rules = {
        "no_baseline": no_base & ~pairs.base_in & ~pairs.base_meant, "baseline_window": no_base & ~pairs.base_in,
        "no_final": no_final & (~pairs.ended | (early & ~pairs.final_meant)), "final_window": early,
        "too_close": no_final & ~pairs.final_in, **differs,
        "out_of_range": (no_base & pairs.base_range) | (no_final & pairs.final_range),
        "conflict": (no_base & pairs.base_clash) | (no_final & pairs.final_clash)}
    return ibis.cases(*((rules[name].fill_null(False), name) for name in WHY), else_="")


def _finished(pairs: pd.DataFrame, keys: pd.DataFrame, reasons: pd.DataFrame, episodes: pd.DataFrame,
              measures: MappingType[str, object], measure_set: tuple) -> pd.DataFrame:
    """With the unmeasured: rows that only say why there is no score, and measures that the set assigns."""
    assigned = _assigned(episodes, measure_set)
    keys = pd.concat([keys, assigned[KEY]]).drop_duplicates()
    scores = with_unpaired(keys, pairs, reasons).merge(episodes[["episode", "patient"]], "inner", "episode")
    scores["days_apart"] = (scores["final_date"] - scores["baseline_date"]).dt.days.astype("float64")
    scores = scores.sort_values(KEY, ignore_index=True)
    scores["is_assigned"] = pd.MultiIndex.from_frame(scores[KEY]).isin(pd.MultiIndex.from_frame(assigned[KEY]))
    scores["is_primary"] = _is_primary(scores, assigned, measures)
    return scores.astype(COLUMNS)[list(COLUMNS)]


def with_unpaired(keys: pd.DataFrame, pairs: pd.DataFrame, reasons: pd.DataFrame) -> pd.DataFrame:
    """A row for each episode and measure, also where it has no score at all, with the strongest reason for that."""
    scores = keys.merge(pairs, "left", KEY)
    scores["why_unpaired"] = scores["why_unpaired"].astype("str").fillna("no_baseline")
    scores["has_score"] = scores["has_score"].eq(True).fillna(False).astype(bool)
    rank = reasons["missing_reason"].map({reason: place for place, reason in enumerate(schema.MISSING_REASONS)})
    strongest = rank.groupby([reasons["episode"], reasons["measure"]]).min().rename("rank").reset_index()
    names = dict(enumerate(schema.MISSING_REASONS))
    scores = scores.merge(strongest, "left", KEY)
    return scores.assign(missing_reason=scores.pop("rank").map(names).astype("str").fillna(""))


def no_scores() -> pd.DataFrame:
    """Facts of data without assessments."""
    return empty_frame(**COLUMNS)


def _assigned(episodes: pd.DataFrame, measure_set: tuple) -> pd.DataFrame:
    """Episode, measure and its place in the set, for the discipline and region of each episode.

    A line that names the region comes before one for the whole discipline.
    """
    empty = empty_frame(episode="int32", measure="str", place="int64")
    if not measure_set or "discipline" not in episodes:
        return empty
    region = with_absent(episodes, body_region="str")["body_region"]
    chosen = pd.Series(-1, index=episodes.index)
    for number, (discipline, wanted, _) in enumerate(measure_set):
        fits = episodes["discipline"] == discipline
        fits &= (region == wanted) if wanted else chosen == -1
        chosen[fits] = number
    parts = [pd.DataFrame({"episode": episodes.loc[chosen == number, "episode"], "measure": code, "place": place})
             for number, (_, _, codes) in enumerate(measure_set) for place, code in enumerate(codes)]
    return pd.concat([empty, *parts], ignore_index=True)


def _is_primary(scores: pd.DataFrame, assigned: pd.DataFrame, measures: MappingType[str, object]) -> pd.Series:
    """First of the set; without a set, the paired measure with the earliest baseline, ties by code."""
    first = assigned[assigned["place"] == 0].set_index("episode")["measure"]
    wanted = looked_up(scores["episode"], first)
    paired = scores[(scores["why_unpaired"] == "") & wanted.isna()
                    & scores["measure"].isin([code for code, item in measures.items() if item.paired])]
    earliest = paired.sort_values(["episode", "baseline_date", "measure"]).drop_duplicates("episode").index
    return (scores["measure"] == wanted).fillna(False) | scores.index.isin(earliest)
