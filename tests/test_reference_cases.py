"""Every estimator has reference cases from two data sets, one of them real; `reference/cases.csv` says which.

A line of that table holds only where a test reads the case and calls the estimator.
"""

import ast
import inspect
import re

import pytest
import reference_values
import validation

from therapyeval import stats

CASES = reference_values.cases()
# Bookkeeping, which estimates nothing.
BOOKKEEPING = {"pair_sums", "extremes", "counts", "n_distinct", "index_pairs", "sort_within", "quantile_of_sorted"}
ESTIMATORS = [name for name in stats.__all__ if not inspect.isclass(getattr(stats, name)) and name not in BOOKKEEPING]


def data_of(estimator):
    return {data for _, (estimators, names) in CASES.items() if estimator in estimators for data in names}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_has_cases_from_two_data_sets(estimator):
    found = data_of(estimator)
    assert len(found) > 1, f"only {found}: add a case (real data first) and its line in tests/reference/cases.csv"
    assert [name for name in found if not name.startswith("made_up")], "no real data set"


def test_the_table_names_every_committed_case_once_and_nothing_else():
    committed = {(topic, case) for topic, content in validation.topics().items() for case in content["cases"]
                 if not case.startswith(("doc", "example.", "smd.doc"))}
    assert set(CASES) == committed
    known = {*ESTIMATORS, "compare"}
    assert {name for estimators, _ in CASES.values() for name in estimators} <= known
    assert all(data for _, data in CASES.values())


# ---- the table cannot name an estimator that no test compares with the case

def words(tree, functions, seen=()):
    """Names and strings (f-strings as patterns) in a function and in the functions of its module that it uses."""
    names, texts = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)                                     # fixtures
        elif isinstance(node, ast.JoinedStr):
            parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in node.values]
            texts |= {"".join(parts)} if set(parts) != {".+"} else set()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(re.escape(node.value))
    for name in names & set(functions) - set(seen):
        more = words(functions[name], functions, (*seen, name))
        names, texts = names | more[0], texts | more[1]
    return names, texts


def read_and_called():
    """For every test function: the topics of its module, the texts in it, the names that it uses."""
    for path in sorted(reference_values.FOLDER.parent.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        topics = {node.args[0].value for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
                  and isinstance(node.func, ast.Name) and node.func.id == "reader"
                  and isinstance(node.args[0], ast.Constant)}
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for name, node in functions.items():
            if topics and name.startswith("test_"):
                yield topics, *words(node, functions)


def test_a_test_reads_each_case_and_calls_its_estimators():
    missing = {(address, name) for address, (estimators, _) in CASES.items() for name in estimators}
    for topics, names, texts in read_and_called():
        missing -= {(address, name) for address, name in missing if address[0] in topics and name in names
                    and any(re.fullmatch(text, address[1]) for text in texts)}
    assert not missing
