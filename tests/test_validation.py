"""docs/validation.md names every committed reference case with R's own numbers and ours."""

import re

import numpy as np
import pytest
import reference_values
import validation
from published_values import checks
from test_published_numbers import OURS

PAGE = validation.PAGE.read_text(encoding="utf-8")
CASES = [(topic, case) for topic, content in validation.topics().items() for case in content["cases"]
         if not case.startswith(("doc", "example."))]      # those of docstrings are run as doctests


@pytest.mark.parametrize(("topic", "case"), CASES, ids=[f"{topic}.{case}" for topic, case in CASES])
def test_a_case_stands_on_the_page_with_both_values(topic, case):
    section = PAGE.split(f"\n### {topic}\n")[1].split("\n### ")[0]
    rows = [re.split(r"(?<!\\)\|", line) for line in section.splitlines() if line.startswith(f"| `{case}` |")]
    assert len(rows) == 1, "run `make validation`"
    *_, wanted, found, n, worst, allowed = (cell.strip() for cell in rows[0][1:-1])
    assert int(n) > 0 and wanted and found
    assert allowed.endswith(" absolute") or float(worst) <= max(float(allowed), 1e-11)


def test_a_comparison_is_kept_with_its_case():
    expected = reference_values.reader("stats")("welch.kutner")
    before = len(reference_values.COMPARED.get(("stats", "welch.kutner"), []))
    reference_values.agree(np.asarray(expected), expected)
    reference_values.agree(np.asarray(expected)[0], expected[0])
    assert len(reference_values.COMPARED["stats", "welch.kutner"]) == before + 2
    with pytest.raises(AssertionError):
        reference_values.agree(np.asarray(expected) * 1.00001, expected)


def test_every_printed_number_stands_on_the_page(real_data):
    part = PAGE.split("<!-- published: start -->")[1].split("<!-- published: end -->")[0]
    for name in OURS:
        section = part.split(f"\n### {name}\n")[1].split("\n### ")[0]
        for key, entry in checks(real_data(name)).items():
            rows = [line for line in section.splitlines() if line.startswith(f"| `{key}` |")]
            assert len(rows) == 1 and f"| {entry['published']} |" in rows[0], "run `make validation`"
