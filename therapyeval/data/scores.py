"""The pair of scores of each episode and measure, or why there is none.

Source: metric definitions, sections 1 (primary measure) and 6 (windows, reasons). All bounds inclusive.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import empty_frame, looked_up, with_absent
from therapyeval.data.quality import MERGED, Ledger

BASELINE_DAYS = 7  # either side of the start
FINAL_BEFORE, FINAL_AFTER = 14, 7  # days around the last attended visit
APART = 7  # least days between the two
WHY = ("no_baseline", "baseline_window", "no_final", "final_window", "too_close", "version", "scale", "respondent",
       "out_of_range", "conflict")
MUST_AGREE = {"version": "version", "scale": "scale", "respondent": "respondent"}
KEY = ["episode", "measure"]
COLUMNS = {"episode": "int32", "patient": "int32", "measure": "str", "baseline": "float64", "final": "float64",
           "baseline_se": "float64", "final_se": "float64", "baseline_date": "datetime64[s]",
           "final_date": "datetime64[s]", "days_apart": "float64",
           "why_unpaired": "str", "missing_reason": "str", "has_score": "bool", "is_primary": "bool",
           "is_assigned": "bool"}


def score_facts(connection, assessments: pd.DataFrame, episodes: pd.DataFrame, rule: str,
                measures: MappingType[str, object], measure_set: tuple, ledger: Ledger) -> pd.DataFrame:
    """One row per episode and measure with any row, or that `measure_set` assigns to the episode; see COLUMNS.

    Entries of one day that were corrected or repeated are merged and counted. `baseline` and `final` are valid
    scores, NaN where there is none, and given also where they are no pair. `is_assigned` says that the set names
    the measure for the episode, so that a patient who was never measured is eligible too.

    Parameters
    ----------
    assessments : episode (merged), measure_code, score, date, timepoint, ... ; linked and not after the data cut
    episodes : facts about episodes
    rule : "window" or "declared"
    """
    frame = _prepared(assessments, measures)
    table = engine.load(connection, "assessments", frame.drop(columns=["_file", "_row"]))
    days = engine.keep(connection, "score_days", _by_day(table, rule))
    _count_repeats(days, frame, ledger)
    pairs = _pairs(connection, _placed(connection, days, episodes, rule), rule)
    return _finished(pairs, frame, episodes, measures, measure_set)


def _prepared(assessments: pd.DataFrame, measures: MappingType[str, object]) -> pd.DataFrame:
    codes = assessments["measure_code"]
    used = pd.Series({code: measures[code] for code in codes.unique()}, dtype="object")
    low = looked_up(codes, pd.Series([item.minimum for item in used], used.index, dtype="float64"))
    high = looked_up(codes, pd.Series([item.maximum for item in used], used.index, dtype="float64"))
    score = assessments["score"]
    within = score.notna() & ~(score < low) & ~(score > high)
    finalized = pd.Series(0, index=assessments.index, dtype="int64")
    if "finalized_dt" in assessments:
        moment = assessments["finalized_dt"] - pd.to_timedelta(assessments["finalized_dt_offset"].fillna(0), unit="min")
        finalized = moment.astype("datetime64[s]").astype("int64").where(moment.notna(), 0)
    frame = with_absent(assessments, measure_version="str", score_scale="str", respondent="str", timepoint="str",
                        missing_reason="str", se="float64")
    frame = frame.rename(columns={"measure_version": "version", "score_scale": "scale", "measure_code": "measure"})
    frame = frame.assign(row=range(len(frame)), within=within, finalized=finalized)
    return frame[["_file", "_row", "row", "episode", "measure", "score", "se", "date", "within", "finalized", "version",
                  "scale", "respondent", "timepoint", "missing_reason"]]


def _by_day(table, rule: str):
    """One row per episode, measure and day (and timepoint where declared): the entry finalised last.

    Equal times and different scores are a conflict: no score of that day is valid.
    """
    import ibis

    day = [*KEY, "date", *(["timepoint"] if rule == "declared" else [])]
    scored = table.filter(table.score.notnull())
    scored = scored.mutate(last=scored.finalized.max().over(ibis.window(group_by=day)))
    scored = scored.filter(scored.finalized == scored.last)
    kept = {"timepoint": scored.timepoint.min()} if rule != "declared" else {}
    days = scored.group_by(day).aggregate(
        row=scored.row.min(), score=scored.score.min(), se=scored.se.min(),
        conflict=scored.score.nunique() > 1, within=scored.within.all(),
        version=scored.version.min(), scale=scored.scale.min(), respondent=scored.respondent.min(),
        rows=scored.row.collect(), **kept)
    return days.mutate(valid=days.within & ~days.conflict)


def _count_repeats(days, frame: pd.DataFrame, ledger: Ledger) -> None:
    """Entries replaced by a later one, or entered again on the same day, are merged; conflicts are pointed out."""
    found = engine.fetch(days.select("row", "rows", "conflict"))
    clash = [row for rows in found.loc[found["conflict"], "rows"] for row in rows]
    keep = frame["score"].isna() | frame["row"].isin([*found["row"], *clash])
    ledger.set_aside(MERGED, "assessments", frame[~keep],
                     "entered again on the same day: the entry finalised last counts")
    ledger.problem("warning", "assessments", frame[frame["row"].isin(clash)],
                   "two scores on one day, finalised at the same time; neither is used (conflict)",
                   "Find out which one is right and correct the export.")
    ledger.problem("warning", "assessments", frame[keep & frame["score"].notna() & ~frame["within"]],
                   "score outside the range of its measure; not a valid score (out_of_range)",
                   "Check the scale and version: `therapyeval measures CODE` prints the range.")
    ledger.use("assessments", frame[keep])


def _placed(connection, days, episodes: pd.DataFrame, rule: str):
    """Each scored day with its place: in the window of the baseline, in that of the final score, or meant for one.

    Outside the windows a score was meant for what its label says; without a label, for either.
    """
    import ibis

    if rule == "declared":
        no = ibis.literal(False)
        return days.mutate(distance=ibis.literal(0), ended=ibis.literal(True), for_base=no, for_final=no,
                           in_base=(days.timepoint == schema.INITIAL).fill_null(False),
                           in_final=(days.timepoint == schema.DISCHARGE).fill_null(False))
    spans = episodes[["episode", "start_date"]].assign(last=episodes["last_visit_date"].fillna(episodes["end_date"]),
                                                       ended=episodes["end_date"].notna())
    days = days.join(engine.load(connection, "spans", spans), "episode")
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
    seen = days.group_by(KEY).aggregate(**_evidence(days))
    pairs = seen.left_join(base, KEY, rname="base_{name}").drop("base_episode", "base_measure")
    pairs = pairs.rename(**{f"base_{name}": name for name in value})
    pairs = pairs.left_join(final, KEY, rname="final_{name}").drop("final_episode", "final_measure")
    pairs = pairs.rename(**{f"final_{name}": name for name in value})
    return engine.fetch(pairs.mutate(why_unpaired=_why(pairs)).select(
        *KEY, "why_unpaired", "has_score", baseline="base_score", final="final_score",
        baseline_se="base_se", final_se="final_se", baseline_date="base_date",
        final_date="final_date"))


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


def _finished(pairs: pd.DataFrame, frame: pd.DataFrame, episodes: pd.DataFrame, measures: MappingType[str, object],
              measure_set: tuple) -> pd.DataFrame:
    """With the unmeasured: rows that only say why there is no score, and measures that the set assigns."""
    assigned = _assigned(episodes, measure_set)
    keys = pd.concat([frame[KEY], assigned[KEY]]).drop_duplicates()
    scores = keys.merge(pairs, "left", KEY).merge(episodes[["episode", "patient"]], "inner", "episode")
    scores["why_unpaired"] = scores["why_unpaired"].astype("str").fillna("no_baseline")
    scores["has_score"] = scores["has_score"].eq(True).fillna(False).astype(bool)
    rank = frame["missing_reason"].map({reason: place for place, reason in enumerate(schema.MISSING_REASONS)})
    strongest = rank.groupby([frame["episode"], frame["measure"]]).min().rename("rank").reset_index()
    names = dict(enumerate(schema.MISSING_REASONS))
    scores = scores.merge(strongest, "left", KEY)
    scores["missing_reason"] = scores.pop("rank").map(names).astype("str").fillna("")
    scores["days_apart"] = (scores["final_date"] - scores["baseline_date"]).dt.days.astype("float64")
    scores = scores.sort_values(KEY, ignore_index=True)
    scores["is_assigned"] = pd.MultiIndex.from_frame(scores[KEY]).isin(pd.MultiIndex.from_frame(assigned[KEY]))
    scores["is_primary"] = _is_primary(scores, assigned, measures)
    return scores.astype(COLUMNS)[list(COLUMNS)]


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
