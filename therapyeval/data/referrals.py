"""Referrals: how long each waited for the first evaluation, and how the wait ended.

Source: metric definitions, section 4.
"""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import empty_frame
from therapyeval.data.quality import LEFT_OUT, MERGED, QUARANTINED, Ledger

COLUMNS = {"referral": "int32", "patient": "int32", "episode": "Int32", "received_date": "datetime64[s]",
           "eval_date": "datetime64[s]", "closed_date": "datetime64[s]", "status": "str", "days": "float64",
           "evaluated": "bool"}
OWN = ("referral", "patient", "discipline", "received_date", "closed_date", "status")


def numbered_referrals(referrals):
    """With `referral`, a number in the order of the file."""
    import ibis

    return referrals.mutate(referral=ibis.row_number().over(ibis.window(order_by="_at")).cast("int32"))


def referral_facts(referrals, chains, cut: pd.Timestamp, describe: list[str], ledger: Ledger) -> pd.DataFrame:
    """One row per patient x discipline x day of receipt; see COLUMNS, beside those of `describe`.

    `days` runs from receipt to the first attended evaluation of a linked episode (`evaluated`), else to the end
    of the wait: the closing date of declined, cancelled and expired ones, the data cut for those still waiting.
    NaN where a closed referral has no usable closing date.

    Parameters
    ----------
    referrals : Ibis table: checked rows with `referral` (number), `patient`, and the columns of `describe`
    chains : Ibis table of source episodes with `referral`, `first_eval` and `merged`
    """
    later = referrals.received_date > cut.date()
    ours = ("_at", "_file", "_row")
    ledger.set_aside(LEFT_OUT, "referrals", engine.fetch(referrals.filter(later).select(*ours).order_by("_at")),
                     "received after the data cut")
    table = referrals.filter(~later).select(*dict.fromkeys((*ours, *OWN, *describe)))
    found = engine.fetch(_evaluated(table, chains, cut).order_by("_at"))
    ledger.set_aside(MERGED, "referrals", found[found["place"] > 0], "order lines of one referral")
    found = found[found["place"] == 0]
    backward = found["eval_date"] < found["received_date"]
    ledger.set_aside(QUARANTINED, "referrals", found[backward], "evaluated before it was received",
                     todo="Entered afterwards: correct received_date, or leave the referral out.")
    found = _waited(found[~backward], cut)
    long = found["days"] > schema.MAX_DAYS
    ledger.set_aside(QUARANTINED, "referrals", found[long], f"waited longer than {schema.MAX_DAYS} days",
                     todo="Correct received_date, or give the referral the date on which it was closed.")
    found = found[~long].reset_index(drop=True)
    ledger.use("referrals", found)
    return found.astype(COLUMNS)[list(dict.fromkeys((*COLUMNS, *describe)))]


def no_referrals() -> pd.DataFrame:
    """Facts of data without referrals."""
    return empty_frame(**COLUMNS)


def _evaluated(table, chains, cut: pd.Timestamp):
    """Order lines with the earliest evaluation of any, numbered within their referral."""
    import ibis

    linked = chains.filter(chains.referral.notnull() & (chains.first_eval <= cut.date()))
    first = linked.group_by("referral").aggregate(eval_date=linked.first_eval.min(),
                                                  episode=linked.merged.argmin(linked.first_eval))
    table = table.left_join(first, "referral").drop("referral_right")
    same = ibis.window(group_by=["patient", "discipline", "received_date"])
    table = table.mutate(first_eval=table.eval_date.min().over(same))
    ordered = ibis.window(group_by=["patient", "discipline", "received_date"],
                          order_by=[table.eval_date.isnull(), "eval_date", "_at"])
    return table.mutate(place=ibis.row_number().over(ordered), eval_date=table.first_eval)


def _waited(found: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    evaluated = found["eval_date"].notna()
    closed = found["status"].isin(schema.CLOSED_REFERRALS) & ~evaluated
    end = found["eval_date"].where(evaluated, cut)
    end = end.where(~closed, found["closed_date"].clip(upper=cut))
    days = (end - found["received_date"]).dt.days.astype("float64")
    return found.assign(evaluated=evaluated, days=days.where(days >= 0))
