"""The registry of measures, and rows that a dataset brings along."""

import pytest

from therapyeval import measures
from therapyeval.errors import DataError, UnknownNameError


def test_lefs_as_registered():
    lefs = measures.get("lefs")
    assert (lefs.minimum, lefs.maximum, lefs.sign, lefs.mcid, lefs.mdc, lefs.mdc_level) == (0, 80, 1, 9, 9, 90)
    assert lefs.mdc95 == pytest.approx(9 * 1.96 / 1.645)


def test_a_threshold_below_the_measurement_error_is_warned_about_as_often_as_the_definitions_say():
    both = [item for item in measures.read().values() if item.mcid is not None and item.mdc is not None]
    assert len(both) == 36
    assert sum("below the measurement error" in " ".join(item.warnings) for item in both) == 24


def test_a_measure_is_printed_with_its_papers_but_never_with_where_they_were_seen():
    text = measures.get("lefs").to_text()
    assert "Binkley 1999 Phys Ther 79:371" in text and "n=107" in text and "warning" in text
    assert not [code for code in measures.names() if "http" in measures.get(code).to_text()]


def test_alternatives_are_kept():
    assert len(measures.get("dash").alternatives) >= 2
    assert any(item.in_band for item in measures.get("dash").alternatives)


def test_an_unknown_measure_names_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean quickdash"):
        measures.get("quickdsh")


def test_a_dataset_may_bring_its_own_measures(tmp_path):
    path = tmp_path / "measures.csv"
    path.write_text("code,name,direction,min,max,mcid,unit\nour_scale,Our scale,higher_better,0,12,2,points\n")
    assert measures.read(path)["our_scale"].mcid == 2
    path.write_text("code,name,direction,min\nours,Ours,up,0\n")
    with pytest.raises(DataError, match="line 2 is not a measure"):
        measures.read(path)
