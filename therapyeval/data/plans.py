"""What was planned for an episode: visits, and certification. Source: data model, section 5."""

from __future__ import annotations

import pandas as pd

from therapyeval.data import engine
from therapyeval.data.links import looked_up

CERTIFIED = ("cert_end", "cert_signed_date")
# Only a frequency that says one number for a week is taken: "2", "2x", "2x/week", "2 times per week", "2/wk".
WEEKLY = r"^\s*(\d+(?:\.\d+)?)\s*(?:x|times)?\s*(?:(?:/|per|a)?\s*(?:week|wk|w))?\s*$"
BY_FREQUENCY, BY_AUTHORIZATION = "frequency x weeks", "authorized visits"


def with_planned_visits(episodes, authorizations):
    """Source episodes with `planned_visits`: as given, else frequency x weeks, else the visits authorized.

    `planned_source` says which, where it is not the first; an authorization is a payer's limit, not a plan.

    Parameters
    ----------
    episodes : Ibis table with planned_visits; authorizations : Ibis table, numbered, or None
    """
    import ibis

    table = engine.with_absent(episodes, planned_frequency="string", planned_weeks="float64")
    weekly = table.planned_frequency.lower().re_extract(WEEKLY, 1).nullif("").try_cast("float64")
    planned = weekly * table.planned_weeks
    table = table.mutate(_frequency=(planned > 0).ifelse(planned, None), _authorized=ibis.null("float64"))
    if authorizations is not None and "episode" in authorizations.columns:
        sums = authorizations.group_by("episode").aggregate(given=authorizations.visits_authorized.sum())
        table = engine.looked_up(table.drop("_authorized"), sums, "episode", _authorized="given")
    given = table.planned_visits
    source = ibis.cases((given.notnull(), None), (table["_frequency"].notnull(), BY_FREQUENCY),
                        (table["_authorized"].notnull(), BY_AUTHORIZATION), else_=None)
    return table.mutate(planned_visits=ibis.coalesce(given, table["_frequency"], table["_authorized"]),
                        planned_source=source).drop("_frequency", "_authorized")


def with_plans(facts: pd.DataFrame, chains) -> pd.DataFrame:
    """Facts about episodes with the source of planned visits and the latest certification, where there are any."""
    names = [name for name in ("planned_source", *CERTIFIED) if name in chains.columns]
    known = [chains[name].notnull() for name in names]
    if not known:
        return facts
    import ibis

    rows = engine.fetch(chains.filter(ibis.or_(*known)).select("merged", "start_date", *names)
                        .order_by(["start_date", "merged"]))
    if rows["planned_source"].isna().all():
        names.remove("planned_source")
    last = rows.groupby("merged")[names].last()
    return facts.assign(**{name: looked_up(facts["episode"], last[name]) for name in names})
