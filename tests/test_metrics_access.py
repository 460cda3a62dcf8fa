"""Access, growth and return: metric definitions, sections 4 and 5."""

import numpy as np
import pytest
from conftest import row
from pytest import approx
from test_metrics import TOY_EPISODES, printed

from therapyeval.analysis import summarize
from therapyeval.errors import NotEvaluableError

WAITS = """
    referral  received_date  days  evaluated  status
    r1        2026-07-01     2     yes        converted
    r2        2026-07-02     5     yes        converted
    r3        2026-07-03     9     yes        converted
    r4        2026-07-04     14    yes        converted
    r5        2026-09-10     20    no         open"""


def access(cohort_from, referrals=WAITS, **options):
    return cohort_from(episodes="episode\ne1", referrals=referrals, has_calendar=True, **options)


def test_evaluated_within_a_week_or_two(cohort_from):
    cohort = access(cohort_from)
    for name, wanted in (("eval_within_7", [2, 5]), ("eval_within_14", [4, 5])):
        assert row(summarize(cohort, name))[["numerator", "denominator"]].tolist() == wanted


def test_conversion_leaves_the_immature_out(cohort_from):
    early = summarize(access(cohort_from), "referral_conversion")
    assert row(early)[["numerator", "denominator", "n_excluded"]].tolist() == [4, 4, 1]
    assert early.exclusions["reason"].tolist() == ["immature"]
    later = summarize(access(cohort_from, WAITS.replace("20    no", "35    no"), data_cut="2026-10-15"),
                      "referral_conversion")
    assert printed(later) == (80.0, 37.6, 96.4)
    assert row(summarize(access(cohort_from), "referral_conversion,conversion_days=10"))["numerator"] == 3


def test_a_referral_seen_quickly_is_immature_all_the_same(cohort_from):
    cohort = access(cohort_from, "referral received_date days evaluated\nr1 2026-09-27 1 yes\nr2 2026-09-23 7 yes")
    assert row(summarize(cohort, "eval_within_7"))[["numerator", "denominator", "n_excluded"]].tolist() == [1, 1, 1]


QUEUE = """
    referral  received_date  days  evaluated  status
    r1        2026-08-01     60    no         open
    r2        2026-08-31     30    no         scheduled
    r3        2026-08-30     31    no         open
    r4        2026-08-01     40    yes        converted
    r5        2026-08-01     45    no         declined
    r6        2026-08-01     -     no         cancelled
    r7        2026-09-30     0     no         open
    r8        2026-08-01     60    yes        converted"""


def test_the_waiting_list_at_the_end_of_a_day(cohort_from):
    cohort = access(cohort_from, QUEUE)
    found = row(summarize(cohort, "wait_list", period="2026Q3"))
    assert found[["estimate", "numerator", "n", "n_missing"]].tolist() == [4, 4, 4, 1]     # r1, r2, r3, r7; r6 unknown
    # on 10 September r4 is evaluated; r5 is closed on the 15th, r8 evaluated on the 30th
    assert row(summarize(cohort, "wait_list,t=2026-09-10"))["estimate"] == 5
    assert row(summarize(cohort, "wait_list,t=2026-09-09"))["estimate"] == 6
    share = row(summarize(cohort, "wait_over_30_share", period="2026Q3"))
    assert share[["numerator", "denominator"]].tolist() == [2, 4]                          # 60 and 31 days, not 30
    assert row(summarize(cohort, "wait_list", period="2026"))["estimate"] == 4             # at the data cut


def test_share_of_long_waits_of_the_definitions(cohort_from):
    rows = "".join(f"\nr{i} {'2026-08-01' if i < 3 else '2026-09-20'} 5 no" for i in range(12))
    cohort = access(cohort_from, "referral received_date days evaluated" + rows)
    assert row(summarize(cohort, "wait_list", period="2026Q3"))["estimate"] == 12
    assert printed(summarize(cohort, "wait_over_30_share", period="2026Q3")) == (25.0, 8.9, 53.2)


def starts(*rows, **options):
    lines = [f"e{i} {patient} {day}" for i, (patient, day) in enumerate(rows)]
    return {"episodes": "episode patient start_date\n" + "\n".join(lines), "has_calendar": True, **options}


def test_growth_of_the_definitions(cohort_from):
    rows = [("old", "2024-01-15")] + [(f"a{i}", "2025-08-01") for i in range(75)] \
        + [(f"b{i}", "2026-08-01") for i in range(90)]
    result = summarize(cohort_from(**starts(*rows)), "new_patient_growth", period="2026Q3")
    found = row(result)
    assert [round(100 * found[name], 1) for name in ("estimate", "conf_low", "conf_high")] == [20.0, -12.7, 65.3]
    assert found[["numerator", "denominator", "n", "n_people"]].tolist() == [90, 165, 165, 165]


def test_new_patients_had_no_evaluation_in_the_year_before(cohort_from):
    cohort = cohort_from(**starts(
        ("x", "2024-01-15"), ("a", "2025-08-01"), ("b", "2025-07-02"), ("c", "2025-08-20"),
        ("a", "2026-08-01"),      # 365 days after: not new
        ("b", "2026-07-03"),      # 366 days after: new again
        ("d", "2026-08-01"), ("d", "2026-09-01"), ("d", "2026-08-01")))     # one patient, once
    found = row(summarize(cohort, "new_patient_growth", period="2026Q3"))
    assert found[["numerator", "denominator"]].tolist() == [2, 5] and found["estimate"] == approx(2 / 3 - 1)
    again = row(summarize(cohort, "new_patient_growth,gap_days=364", period="2026Q3"))
    assert again["numerator"] == 3


@pytest.mark.parametrize(("first", "period"), [("2024-08-01", "2026Q3"), ("2024-01-01", "2026-07-15..2026-10-15")])
def test_growth_needs_two_years_and_a_period_that_is_over(cohort_from, first, period):
    cohort = cohort_from(**starts(("x", first), ("a", "2025-08-01"), ("b", "2026-08-01"), ("c", "2025-11-01")))
    found = row(summarize(cohort, "new_patient_growth", period=period))
    assert np.isnan(found["estimate"]) and found["n"] == 0
    assert found["note"] == "the data do not reach back two years, or the period is not over"


RETURNS = """
    episode  patient  discipline  body_region  start_date  end_date
    e1       a        PT          knee         2026-01-05  2026-03-01
    e2       a        PT          knee         2026-04-01  2026-04-20
    e3       b        PT          knee         2026-01-05  2026-03-01
    e4       b        PT          hip          2026-04-15  -
    e5       c        PT          knee         2026-01-05  2026-03-01
    e6       c        PT          knee         2026-05-31  -
    e7       d        PT          -            2026-01-05  2026-03-01
    e8       d        PT          -            2026-05-30  -
    e9       e        PT          knee         2026-01-05  2026-09-01"""


def test_back_within_90_days_of_the_same_care(cohort_from):
    cohort = cohort_from(episodes=RETURNS, has_calendar=True)
    first = row(summarize(cohort, "re_referral_90", period="2026Q1"))
    assert first[["numerator", "denominator"]].tolist() == [2, 4]    # a after 31 days, d after 90; b hip, c after 91
    assert row(summarize(cohort, "re_referral_90", period="2026Q3"))["n_excluded"] == 1


def test_back_within_90_days_of_the_definitions(cohort_from):
    rows = [f"e{i} p{i} 2026-01-05 2026-03-01" for i in range(6)] + ["e6 p3 2026-05-01 2026-12-01"]
    cohort = cohort_from(episodes="episode patient start_date end_date\n" + "\n".join(rows), has_calendar=True)
    assert round(100 * row(summarize(cohort, "re_referral_90", period="2026Q1"))["estimate"], 1) == 16.7


def test_without_dates_nobody_comes_back(cohort_from):
    with pytest.raises(NotEvaluableError, match="no dates"):
        summarize(cohort_from(episodes=TOY_EPISODES), "re_referral_90")
