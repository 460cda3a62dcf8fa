"""Units, scales and text forms of scores: the traps of data model section 3, worked by hand; nothing is guessed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from therapyeval import measures
from therapyeval.data import score_values
from therapyeval.data.score_units import UNITS, factor, unit_named
from therapyeval.data.score_values import MEAN, SEPARATOR, SPEED, WITH_UNIT, Declared, read_values

GG_ITEM = measures.get("fois").__class__(**{**measures.get("fois").__dict__, "code": "gg0130a", "minimum": 1.0,
                                           "maximum": 6.0})


def read(code, *texts, headers=(), **declared):
    measure = GG_ITEM if code == "gg_item" else measures.get(code)
    return read_values(list(texts), measure, Declared(**declared), headers)


def numbers(code, *texts, **how):
    values = read(code, *texts, **how)
    assert values.question is None, values.question
    return [None if math.isnan(number) else number for number in values.frame["number"]]


def question(code, *texts, **how):
    values = read(code, *texts, **how)
    assert values.question is not None
    return values.question


def joined(*cells):
    return SEPARATOR.join(cells)


# NDI: points or percent, for the whole column
def test_a_percent_sign_decides_for_the_whole_column():
    assert numbers("ndi", "14", "28%", "28") == [7, 14, 14]  # 28% of 50 points is 14 points


def test_the_header_decides_for_the_whole_column():
    assert numbers("ndi", "14", "28", headers=["NDI_pct"]) == [7, 14]
    assert numbers("ndi", "14", "28", headers=["ndi (%)"]) == [7, 14]
    assert numbers("ndi", "14", "28", headers=["NDI raw points"]) == [14, 28]
    assert numbers("ndi_pct", "14", "28", headers=["neck"]) == [14, 28]  # the code says percent


def test_the_declaration_decides_and_the_scale_is_noted():
    assert numbers("ndi", "14", scale="points") == [14] and read("ndi", "14", scale="points").scale == "raw"
    assert numbers("ndi", "14", scale="percent") == [7]
    assert numbers("ndi_pct", "14", scale="points") == [28] and read("ndi_pct", "14", scale="points").scale == "percent"
    assert numbers("ndi", "14", scale="points", headers=["ndi_pct"]) == [14]  # the mapping corrects a header


def test_out_of_50_or_100_decides_too():
    assert numbers("ndi", "14/50", "20") == [14, 20]
    assert numbers("ndi", "14/100", "20") == [7, 10]


def test_values_never_decide_points_or_percent():
    low, high = question("ndi", "14", "28"), question("ndi", "14", "28", "60")
    assert "at most 50" in low.what and low.rows.tolist() == [0, 1]
    assert "above 50" in high.what and high.rows.tolist() == [2]
    assert "`scale: points` or `scale: percent`" in low.todo


@pytest.mark.parametrize("how", [dict(scale="points"), dict(headers=["ndi_raw"])])
def test_a_percent_sign_against_the_declaration_asks(how):
    asked = question("ndi", "14", "28%", **how)
    assert "do not agree" in asked.what and asked.rows.tolist() == [1]


def test_a_percent_sign_fits_percent_and_0_to_100_only():
    assert numbers("odi", "28%") == [28] and numbers("dash", "28 %") == [28]
    assert "% sign" in question("lefs", "28%").what


@given(st.lists(st.integers(0, 100).map(str), min_size=1, max_size=20))
def test_an_undeclared_neck_disability_column_always_asks(texts):
    assert read("ndi", *texts).question is not None


# Barthel: the code is the version
def test_barthel_codes_say_the_version():
    assert numbers("barthel_20", "18") == [18] and numbers("barthel_100", "90") == [90]


# NPRS and other text forms
def test_fractions_give_the_numerator_and_ranges_their_mean_both_flagged():
    values = read("nprs", "5/10", "4-6", "7-8", "7 to 8", "7–8", "5 out of 10", "3")
    assert values.frame["number"].tolist() == [5, 5, 7.5, 7.5, 7.5, 5, 3]
    flags = [score_values.OUT_OF, *[score_values.RANGE] * 4, score_values.OUT_OF, None]
    assert values.frame["flag"].astype(object).where(values.frame["flag"].notna(), None).tolist() == flags


def test_a_fraction_of_another_maximum_is_not_read():
    frame = read("nprs", "5/100", "5/10").frame
    assert math.isnan(frame["number"][0]) and frame["flag"][0] == score_values.OTHER_TOP and frame["number"][1] == 5


@pytest.mark.parametrize("text", ["< 5", ">10", "6-4", "12/10", "4/6/2026", "1,200", "five", "inf", "nan", "5;6",
                                  "1e999", "12 parsec", "3+"])
def test_what_is_not_understood_is_unread_and_never_a_number(text):
    frame = read("nprs", text, "5").frame
    assert math.isnan(frame["number"][0]) and frame["unread"].tolist() == [True, False]


@pytest.mark.parametrize(("text", "number"), [("5", 5), (" 5.0 ", 5), ("+5", 5), ("-5", -5), (".5", .5), ("5.", 5),
                                              ("1e1", 10)])
def test_plain_numbers(text, number):
    assert numbers("groc", text) == [number]


# TUG and gait speed
def test_seconds_written_beside_the_number_are_read():
    assert numbers("tug", "12.4 sec", "12.4s", "12.4 Seconds", "12.4") == [12.4] * 4


def test_another_unit_than_the_declared_one_asks():
    assert "min" in question("tug", "12.4 sec", "1 min").what
    assert "`unit: min`" in question("tug", "1 min", "2").todo
    assert numbers("tug", "1 min", "2", unit="min") == [60, 120]
    assert "sec" not in question("six_mwt", "400 sec", unit="m").todo


def test_unable_is_a_reason_and_zero_and_999_are_no_times():
    frame = read("tug", "12.4", "unable", "0", "999", "Not done", "CNT", unable=("CNT",)).frame
    assert frame["number"].isna().tolist() == [False, True, True, True, True, True]
    assert frame["reason"].fillna("").tolist() == ["", "unable", "", "", "not_done", "unable"]
    assert frame["flag"].fillna("").tolist() == ["", "", score_values.NO_TIME, score_values.NO_TIME, "", ""]
    assert not frame["unread"].any()


def test_declared_words_and_numbers_stand_for_unable():
    frame = read("tug", "0", "0.0", "999", "10", unable=("0", "999")).frame
    assert frame["reason"].fillna("").tolist() == ["unable", "unable", "unable", ""] and frame["number"][3] == 10


def test_zero_is_a_score_where_it_is_no_time():
    assert numbers("nprs", "0") == [0]


def test_gait_speed_is_distance_by_time():
    assert numbers("gait_speed", joined("10", "12.5"), joined("4", "5 sec"), form=SPEED) == [0.8, 0.8]
    assert numbers("gait_speed", "12.5", "10", form=SPEED, distance=10) == [0.8, 1]
    assert numbers("gait_speed", joined("20", "10"), form=SPEED, unit="ft") == [pytest.approx(0.6096)]
    assert numbers("gait_speed", "10", form=SPEED, distance=20, unit="ft") == [pytest.approx(0.6096)]


def test_a_walk_that_was_not_done_has_no_speed():
    frame = read("gait_speed", joined("10", "unable"), joined("10", "0"), joined("", "8"), form=SPEED).frame
    assert frame["number"].isna().all() and frame["reason"].fillna("").tolist() == ["unable", "", ""]
    assert frame["flag"].fillna("").tolist() == ["", score_values.NO_TIME, ""]
    assert frame["unread"].tolist() == [False, False, True]


def test_distance_and_time_in_other_units_ask():
    assert question("gait_speed", joined("10 ft", "12"), form=SPEED)
    assert question("gait_speed", joined("10", "1 min"), form=SPEED)


def test_speeds_nobody_walks_ask_and_declared_units_are_converted():
    assert "probably seconds or cm/s" in question("gait_speed", "0.9", "110").what
    assert numbers("gait_speed", "110", unit="cm/s") == [pytest.approx(1.1)]


# 6MWT
def test_a_walk_over_800_says_probably_feet():
    asked = question("six_mwt", "300", "1200")
    assert "probably feet" in asked.what and asked.rows.tolist() == [1]
    assert "`unit: m` or `unit: ft`" in asked.todo


def test_a_walk_of_300_to_800_is_not_taken_for_metres_either():
    assert "metres or feet" in question("six_mwt", "300", "790").what


def test_a_declared_walk_is_converted_as_a_whole():
    assert numbers("six_mwt", "1000", "300", unit="ft") == [pytest.approx(304.8), pytest.approx(91.44)]
    assert numbers("six_mwt", "450", "810", unit="m") == [450, 810]
    assert "multiplied by 0.3048" in read("six_mwt", "1000", unit="ft").done


def test_a_written_unit_must_be_the_declared_one():
    assert question("six_mwt", "1200 ft", "1000 ft").todo.startswith("Write `unit: ft`")
    assert numbers("six_mwt", "1000 ft", "500", unit="ft") == [pytest.approx(304.8), pytest.approx(152.4)]
    assert numbers("six_mwt", "450 m", "420") == [450, 420]
    assert question("six_mwt", "450 m", "1200 ft").rows.tolist() == [1]


def test_a_column_may_hold_the_unit_if_it_is_one():
    assert numbers("six_mwt", joined("1000", "ft"), joined("500", ""), form=WITH_UNIT) == [
        pytest.approx(304.8), pytest.approx(152.4)]
    assert question("six_mwt", joined("1000", "ft"), joined("300", "m"), form=WITH_UNIT)
    assert question("six_mwt", joined("300", ""), form=WITH_UNIT)


# Grip
def test_grip_is_the_mean_of_its_trials_in_the_declared_unit():
    assert numbers("grip_strength", joined("30", "32", "34"), form=MEAN, unit="kg") == [32]
    assert numbers("grip_strength", joined("100", "100", "100"), form=MEAN, unit="lb") == [pytest.approx(45.359237)]
    assert "kilograms or pounds" in question("grip_strength", joined("30", "32", "34"), form=MEAN).what


def test_missing_trials_are_flagged():
    frame = read("grip_strength", joined("30", "", "34"), joined("unable", "unable", ""), joined("30", "unable", "x"),
                 form=MEAN, unit="kg").frame
    assert frame["number"].tolist()[0] == 32 and math.isnan(frame["number"][1]) and frame["number"][2] == 30
    assert frame["flag"].fillna("").tolist() == [score_values.FEWER, "", score_values.FEWER]
    assert frame["reason"].fillna("").tolist() == ["", "unable", ""] and not frame["unread"].any()


def test_a_sum_of_items_needs_all_of_them():
    frame = read("fss_pediatric", joined("1", "2", "3", "1", "1", "1"), joined("1", "", "3", "1", "1", "1"),
                 joined("", "", "", "", "", "unable"), form=score_values.SUM).frame
    assert frame["number"].tolist()[0] == 9 and frame["number"].isna().tolist() == [False, True, True]
    assert frame["flag"].fillna("").tolist() == ["", score_values.INCOMPLETE, ""]
    assert frame["reason"].fillna("").tolist() == ["", "", "unable"] and not frame["unread"].any()


# GG items
def test_only_1_to_6_are_scores_of_a_gg_item():
    frame = read("gg_item", "06", "1", "3.0", "07", "09", "10", "88", "-", "^", "0", "5.5", "12", codes="gg").frame
    assert frame["number"].tolist()[:3] == [6, 1, 3] and frame["number"][3:].isna().all()
    reasons = ["refused", "not_due", "not_done", "unable", "not_done", "not_due"]
    assert frame["reason"].fillna("").tolist()[3:9] == reasons
    assert frame["flag"][3] == "GG code 07 (refused); no score"
    assert frame["unread"].tolist() == [False] * 9 + [True] * 3


# Converted scores
@pytest.mark.parametrize(("code", "name"), [("promis_pf", "T"), ("promis10_gph", "T"), ("ampac_6c_bm", "T"),
                                            ("koos_jr", "scaled"), ("hoos_jr", "scaled")])
def test_converted_scores_must_be_said_to_be_converted(code, name):
    assert f"`scale: {name}`" in question(code, "45").todo
    assert question(code, "20", scale="raw")
    assert numbers(code, "45", scale=name) == [45] and read(code, "45", scale=name).scale == name


def test_raw_sums_have_codes_of_their_own():
    assert numbers("promis_dep_8a_raw", "20") == [20]


# Both directions
def test_which_end_is_good_must_be_said():
    for code in ("pgic", "oss", "psfs"):
        assert "which end is good" in question(code, "5").what
        assert numbers(code, "5", better="high") == [5]


def test_reversed_scores_are_turned_round():
    assert numbers("pgic", "1", "7", better="low") == [7, 1]  # 8 - score
    assert numbers("oss", "12", "60", "20", better="low") == [48, 0, 40]  # 60 - score: 12-60 became 0-48
    assert "12 to 60" in question("oss", "8", better="low").what


def test_a_column_without_numbers_asks_nothing():
    assert read("ndi", "unable").question is None and read("six_mwt", "unable").frame["reason"].tolist() == ["unable"]
    assert read("pgic").frame.empty


# Units
def test_factors_are_those_of_the_international_yard_and_pound():
    assert factor("ft", "m") == 0.3048 and factor("lb", "kg") == 0.45359237
    assert factor("min", "s") == 60 and factor("cm", "mm") == 10 and factor("ft", "kg") is None
    assert factor("points", "repetitions") is None and factor("blocks/min", "blocks/min") == 1


@given(st.floats(0.01, 1e4), st.sampled_from([(kind, a, b) for kind, units in UNITS.items() if kind != "count"
                                              for a in units for b in units]))
def test_a_conversion_and_back_gives_the_value(value, pair):
    _, unit, other = pair
    assert value * factor(unit, other) * factor(other, unit) == pytest.approx(value, rel=1e-12)


def test_every_way_to_write_a_unit_names_one_unit():
    words = [word for units in UNITS.values() for unit, (_, others) in units.items()
             for word in (unit, *others.split())]
    assert len(words) == len(set(words)) and all(unit_named(word.upper()) for word in words)


@given(st.sampled_from(["six_mwt", "grip_strength"]), st.lists(st.floats(0, 799).map(str), min_size=1, max_size=9))
def test_a_distance_or_strength_without_unit_always_asks(code, texts):
    assert read(code, *texts).question is not None


@given(st.lists(st.text(max_size=12), max_size=8), st.sampled_from(["nprs", "tug", "odi", "ndi", "six_mwt", "pgic"]))
def test_any_text_is_a_number_a_reason_flagged_unread_or_empty(texts, code):
    frame = read(code, *texts, scale="points" if code == "ndi" else None, unit="m" if code == "six_mwt" else None,
                 better="high" if code == "pgic" else None).frame
    told = frame["number"].notna() | frame["reason"].notna() | frame["flag"].notna() | frame["unread"]
    assert len(frame) == len(texts) and told.all()
    assert not (frame["unread"] & frame["number"].notna()).any()
