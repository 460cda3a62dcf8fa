"""Each rule of release on a table in sight."""

import pandas as pd
import pytest

from therapyeval.disclosure import PRESETS, release
from therapyeval.disclosure.cells import collect
from therapyeval.disclosure.equations import write_equations
from therapyeval.disclosure.followers import determined, show_followers
from therapyeval.disclosure.small import hide_small
from therapyeval.errors import ParameterError, UnknownNameError
from therapyeval.result import Result, Source, make_frame

COLUMNS = ["n", "numerator", "estimate"]


def read(value, is_number):
    if value == "-":
        return None
    return float(value) if is_number else value.replace("--", " - ")


def table(text, by=(), people=None, title="T", exclusions=None, **source):
    """A Result from aligned text; `-` is missing; statistic proportion unless a column says otherwise."""
    lines = [line.split() for line in text.strip().splitlines()]
    rows = []
    for line in lines[1:]:
        row = {name: read(value, name not in (*by, *WORDS)) for name, value in zip(lines[0], line, strict=True)}
        row = {"metric": "m", "statistic": "proportion", "estimand": "complete_case", "n_missing": 0, "n_excluded": 0,
               "n_people": row["n"], "denominator": row["n"] if "numerator" in row else None, **row}
        rows.append({"estimate": row["numerator"] / row["n"] if row.get("numerator") else 1.5, **row})
    more = {} if exclusions is None else {"exclusions": exclusions}
    behind = None if people is None else pd.DataFrame(people).reindex(
        columns=["numerator", "complement", "n_missing", "n_excluded"])
    address = Source("f", **{"population": "episodes", **source})
    return Result(make_frame(rows, by), title, address, people=behind, **more)


WORDS = ("metric", "statistic", "level", "estimand", "contrast", "method", "note")


def shown(results, column="n", policy="cms_11"):
    """What is left of a column in each table; "-" where it is hidden."""
    released = release(results if isinstance(results, list) else [results], policy)
    found = [[("-" if pd.isna(value) else int(value)) for value in part.frame[column]] for part in released]
    return found if isinstance(results, list) else found[0]


# Rule 1: people behind a row, its numerator and its complement

def test_a_row_needs_eleven_people_behind_it_and_behind_its_complement():
    rates = table("""
        site_id  numerator  n
        north    11         40
        east     10         40
        south    30         40
        west     29         40""", by=["site_id"])
    assert shown(rates, "numerator") == [11, "-", "-", 29]


def test_zero_and_everybody_may_be_shown():
    rates = table("""
        site_id  numerator  n
        north    0          40
        east     40         40""", by=["site_id"])
    assert shown(rates, "numerator") == [0, 40]


def test_people_count_not_visits():
    visits = """
        site_id  statistic  numerator  n    n_people
        north    ratio      60         200  60
        east     ratio      60         200  60"""
    everybody = {"numerator": [40, 10], "complement": [55, 55], "n_missing": [0, 0], "n_excluded": [0, 0]}
    assert shown(table(visits, by=["site_id"], people=everybody), "numerator") == [60, "-"]
    few = visits.replace("200  60", "200  9")
    assert shown(table(few, by=["site_id"]), "n") == ["-", "-"]


def test_smallest_and_largest_values_belong_to_one_person():
    ages = table("""
        statistic  n
        mean       400
        max        400""")
    assert release([ages], "cms_11")[0].frame["estimate"].isna().tolist() == [False, True]


# Rule 2: all that rests on the same numbers

def test_statistics_of_the_same_numbers_fall_together():
    scores = table("""
        statistic  n
        mean       9
        sd         9
        median     9
        q1         9""")
    frame = release([scores], "cms_11")[0].frame
    assert frame[["estimate", "conf_low", "n", "n_people"]].isna().all(axis=None)
    assert (frame["note"] == "withheld").all()


def test_a_small_missing_count_is_hidden_alone_where_the_eligible_is_not_shown():
    scores = table("""
        statistic  n   n_missing
        mean       44  6
        sd         44  6""")
    released = release([scores], "cms_11")[0].frame
    assert released["n"].tolist() == [44, 44] and released["n_missing"].isna().all()
    assert released["estimate"].notna().all() and (released["note"] == "withheld").all()


def test_an_older_note_stays_only_beside_a_number_and_without_digits():
    scores = table("""
        metric  statistic  n   n_missing  note
        a       mean       44  6          skewed
        b       mean       55  6          2_patients_twice
        c       mean       9   0          skewed""")
    assert release([scores], "cms_11")[0].frame["note"].tolist() == ["skewed; withheld", "withheld", "withheld"]


# Rule 3: counts at one address that differ by 1 to 10

def test_the_smaller_of_two_near_counts_is_withheld_in_any_table():
    baseline = table("n statistic metric\n50 mean age")
    outcome = table("n n_missing statistic metric\n44 6 mean final_score:odi")
    assert shown([baseline, outcome]) == [[50], ["-"]]
    assert shown([baseline, table("n statistic metric\n39 mean other")]) == [[50], [39]]


def test_flow_steps_are_counts_at_one_address():
    flow = table("""
        level      statistic  numerator  n
        screened   count      90         90
        consented  count      85         85
        allocated  count      60         60
        analysed   count      52         52""", population="enrolled")
    assert shown(flow, "numerator") == [90, "-", 60, "-"]


def test_two_instruments_with_their_own_eligible_patients_are_not_compared():
    scores = """
        metric             statistic  n   n_missing
        score_change:lefs  mean       80  20
        score_change:ndi   mean       75  {}"""
    assert shown(table(scores.format(30))) == [80, 75]
    assert shown(table(scores.format(25))) == [80, "-"]


def test_excluded_units_are_seen_against_the_total():
    visits = table("n statistic metric\n500 mean episode_days")
    fewer = table("n n_excluded statistic metric\n497 3 mean visits_per_episode")
    assert shown([visits, fewer]) == [[500], ["-"]]


def test_people_too_near_to_their_units_are_hidden_as_people_only():
    episodes = table("n n_people statistic\n60 57 mean")
    released = release([episodes], "cms_11")[0].frame
    assert released["n"].tolist() == [60] and released["n_people"].isna().all()


# Rule 4: sums

def test_the_smallest_other_group_is_hidden_with_a_single_one():
    rates = table("""
        site_id  n    statistic
        north    8    mean
        east     150  mean
        south    40   mean
        -        198  mean""", by=["site_id"])
    assert shown(rates) == ["-", 150, "-", 198]


def test_the_total_may_stand_in_another_table_or_under_a_filter():
    groups = table("""
        arm   n   statistic
        PRT   8   mean
        usual 40  mean
        other 60  mean""", by=["arm"])
    total = table("n statistic\n108 mean", filters={"arm": ["PRT", "usual", "other"]}, title="all")
    one = table("n statistic\n40 mean", filters={"arm": ["usual"]}, title="one")
    assert shown([groups, total, one]) == [["-", "-", 60], [108], ["-"]]


def test_months_add_up_to_their_quarter():
    months = table("""
        period   n    statistic
        2026-07  60   mean
        2026-08  7    mean
        2026-09  90   mean""", by=["period"])
    quarter = table("n statistic\n157 mean", period="2026Q3", title="quarter")
    assert shown([months, quarter]) == [["-", "-", 90], [157]]
    assert shown([months, table("n statistic\n157 mean", period="2026Q2", title="before")]) == [[60, "-", 90], [157]]


def test_a_group_that_no_table_lists_is_protected_too():
    groups = table("""
        site_id  n   statistic
        north    60  mean
        east     45  mean""", by=["site_id"])
    assert shown([groups, table("n statistic\n110 mean", title="all")]) == [[60, "-"], [110]]


def test_levels_of_a_variable_add_up():
    reasons = table("""
        level       numerator  n
        goals_met   60         100
        plateau     35         100
        moved       5          100""")
    assert shown(reasons, "numerator") == [60, "-", "-"]


def test_narrow_sums_cost_the_total():
    rates = table("""
        site_id  n    statistic
        north    1    mean
        east     1    mean
        south    40   mean
        west     60   mean
        -        102  mean""", by=["site_id"])
    assert shown(rates) == ["-", "-", 40, 60, "-"]


def test_two_margins():
    rates = table("""
        site_id  arm  n    statistic
        north    A    5    mean
        north    B    60   mean
        east     A    70   mean
        east     B    80   mean
        south    A    90   mean
        south    B    95   mean
        north    -    65   mean
        east     -    150  mean
        south    -    185  mean
        -        A    165  mean
        -        B    235  mean
        -        -    400  mean""", by=["site_id", "arm"])
    counts = shown(rates)
    assert counts[0] == "-" and counts.count("-") == 4


def test_the_same_cell_is_hidden_in_every_table():
    one = table("site_id numerator n\nnorth 4 50", by=["site_id"])
    other = table("numerator n statistic\n4 50 ratio", filters={"site_id": "north"}, people={"numerator": [None]},
                  title="other")
    assert shown([one, other], "numerator") == [["-"], ["-"]]


def test_both_missing_rules_together_give_nothing_away():
    rates = table("""
        estimand              numerator  n   n_missing
        complete_case         29         39  8
        missing_not_achieved  29         47  0""")
    assert shown(rates, "numerator") == ["-", "-"]   # 18 not achieved = 10 + 8 missing: three values each


def test_reasons_of_exclusion():
    def reasons(*counts):
        return pd.DataFrame({"metric": "m", "reason": [f"r{i}" for i in range(len(counts))], "n": counts,
                             "n_people": counts})

    left_out = table("n n_excluded statistic\n400 63 mean", exclusions=reasons(20, 40, 3))
    released = release([left_out], "cms_11")[0]
    assert released.frame["n_excluded"].tolist() == [63]
    assert released.exclusions["n"].fillna(-1).tolist() == [-1, 40, -1]
    assert released.exclusions["n_people"].fillna(-1).tolist() == [-1, 40, -1]
    single = release([table("n n_excluded statistic\n400 3 mean", exclusions=reasons(3))], "cms_11")[0]
    assert single.exclusions["n"].isna().all() and single.frame["n_excluded"].isna().all()


# Rule 5: contrasts

def contrasts(method, statistic):
    return table(f"""
        arm  contrast  statistic    n    n_missing  method
        A    -         mean         60   0        -
        B    -         mean         70   0        -
        C    -         mean         9    0        -
        -    A--B      {statistic}  130  0    {method}
        -    A--C      {statistic}  69   0    {method}
        """, by=["arm"])


@pytest.mark.parametrize(("method", "statistic"), [("Welch", "difference"), ("-", "smd"), ("ANCOVA", "difference")])
def test_a_contrast_with_a_withheld_arm_is_withheld(method, statistic):
    frame = release([contrasts(method, statistic)], "cms_11")[0].frame
    assert frame["estimate"].isna().tolist() == [False, False, True, False, True]
    assert frame["n"].isna().tolist() == [False, False, True, False, True]


def test_counts_of_contrasts_do_not_give_those_of_the_arms():
    # 60 to 76 people lack a value per pair: three sums of two would give all three
    text = """
        arm  contrast  statistic   n    n_missing
        A    -         mean        100  6
        B    -         mean        120  7
        C    -         mean        140  5
        -    A--B      difference  220  13
        -    A--C      difference  240  11
        -    B--C      difference  260  12"""
    frame = release([table(text, by=["arm"])], "cms_11")[0].frame
    assert frame["n_missing"].isna().all() and frame["n"].notna().all() and frame["estimate"].notna().all()


def test_an_adjusted_contrast_that_lost_a_few_patients_shows_no_counts():
    text = """
        arm  contrast  statistic   n    n_missing  method
        A    -         mean        100  0          -
        B    -         mean        120  0          -
        -    A--B      difference  217  3          ANCOVA"""
    row = release([table(text, by=["arm"])], "cms_11")[0].frame.iloc[2]
    assert row["estimate"] == 1.5 and row[["n", "n_missing", "p_value", "n_people"]].isna().all()


def test_a_contrast_whose_groups_are_not_there_is_withheld():
    lone = table("arm contrast statistic n\n- A--B difference 200", by=["arm"])
    assert release([lone], "cms_11")[0].frame["estimate"].isna().all()


# The contract of release

def example():
    return [table("site_id numerator n\nnorth 4 50\neast 30 70", by=["site_id"], title="rates",
                  people={"numerator": [4, 30], "complement": [46, 40]}),
            table("n n_missing statistic metric\n120 4 mean age", title="age")]


@pytest.mark.parametrize("policy", ["public", "internal"])
def test_nothing_is_hidden_under_public_and_internal(policy):
    for before, after in zip(example(), release(example(), policy), strict=True):
        pd.testing.assert_frame_equal(before.frame, after.frame)
        assert after.policy == policy and after.people is None


def test_released_tables_keep_order_rows_columns_types_and_inputs():
    results = example()
    copies = [result.frame.copy() for result in results]
    released = release(results, "cms_11")
    assert [part.title for part in released] == ["rates", "age"]
    for before, copy, after in zip(results, copies, released, strict=True):
        pd.testing.assert_frame_equal(before.frame, copy)
        assert before.policy is None and after.policy == "cms_11" and after.people is None
        assert list(after.frame.dtypes) == list(before.frame.dtypes) and len(after.frame) == len(before.frame)


def test_what_was_released_is_not_released_again():
    with pytest.raises(ParameterError, match="'rates' was released under cms_11 before"):
        release(release(example(), "cms_11"), "cms_11")


def test_a_ledger_and_an_unknown_policy_are_refused():
    with pytest.raises(ParameterError, match="later version"):
        release(example(), "cms_11", ledger=[])
    with pytest.raises(UnknownNameError):
        release(example(), "cms_12")


def test_nothing_to_release():
    assert release([], "cms_11") == []
    assert len(release([Result(make_frame([]), "empty", Source("f"))], "cms_11")[0].frame) == 0


def test_a_reason_is_one_count_whichever_metric_leaves_it_out():
    # Of 2,163 discharged: 8 deceased, 93 evaluation only, 25 transferred; the second metric also leaves out 24 and 240.
    def result(metric, n, reasons):
        frame = make_frame([{"metric": metric, "statistic": "proportion", "estimand": "complete_case", "estimate": 0.5,
                             "numerator": n // 2, "denominator": n, "n": n, "n_missing": 0,
                             "n_excluded": sum(reasons.values()), "n_people": n}])
        left_out = pd.DataFrame({"metric": metric, "reason": list(reasons), "n": list(reasons.values()),
                                 "n_people": list(reasons.values())})
        return Result(frame, metric, Source("f", "episodes", period="2026Q2"), exclusions=left_out)
    shared = {"deceased": 8, "evaluation_only": 93, "transferred": 25}
    released = release([result("goals_met_rate", 2037, shared),
                        result("paired_completion", 1773, {**shared, "hospitalized": 24, "few": 240})], "cms_11")
    shown = set()
    for part in released:
        known = part.exclusions[part.exclusions["n"].notna()]
        shown |= set(known["reason"])
    assert len(set(shared) - shown) >= 2, "with two of the three known anywhere, the deceased follow"


# What follows anyway

def left_out(metric, n, reasons, statistic="mean"):
    counts = pd.DataFrame({"metric": metric, "reason": list(reasons), "n": list(reasons.values()),
                           "n_people": list(reasons.values())})
    return table(f"metric n n_excluded statistic\n{metric} {n} {sum(reasons.values())} {statistic}", exclusions=counts)


def test_a_count_hidden_for_others_is_shown_where_it_follows_from_two_sums():
    # 57 = deceased + transferred + hospitalized and 33 = deceased + transferred give hospitalized = 24.
    both = {"deceased": 8, "transferred": 25}
    released = release([left_out("m1", 600, both), left_out("m2", 576, {**both, "hospitalized": 24})], "cms_11")
    assert [part.frame["n_excluded"].tolist() for part in released] == [[33], [57]]
    assert released[0].exclusions["n"].isna().all()
    assert released[1].exclusions["n"].fillna(-1).tolist() == [-1, -1, 24]
    assert released[1].exclusions["n_people"].isna().all(), "24 episodes need not be 24 patients"


def test_with_one_sum_nothing_follows_and_nothing_comes_back():
    alone = release([left_out("m2", 576, {"deceased": 8, "transferred": 25, "hospitalized": 24})], "cms_11")[0]
    assert alone.exclusions["n"].fillna(-1).tolist() == [-1, 25, -1]


def test_a_small_count_that_follows_is_never_shown_and_a_mean_does_not_come_back_with_its_n():
    equations, cells, own, hidden = example_of_two_sites()
    assert determined(equations, equations.known(own))[equations.protect].all(), "41 - 36 gives the 5"
    assert (show_followers(cells, equations, own, own).row == own.row).all()
    assert (show_followers(cells, equations, own, hidden).row == hidden.row).all()


def example_of_two_sites():
    """Two means, of 5 and of 36 people, with their total: rule 1 hides the 5; `hidden` hides the 36 as well."""
    rows = table("""
        site_id  statistic  n
        north    mean       5
        east     mean       36""", by=["site_id"])
    cells = collect([rows, table("statistic n\nmean 41")])
    policy = PRESETS["cms_11"]
    own = hide_small(cells, policy)
    more = (cells.rows["n"] == 36).to_numpy()
    return write_equations(cells, policy), cells, own, own.also(cells.rows["block"], row=more)
