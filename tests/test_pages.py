"""The pages about metrics and measures are those of the registries, and the command prints what reports print."""

from pathlib import Path

import pytest

from therapyeval import cli, metrics
from therapyeval.display.definitions import definition_blocks
from therapyeval.display.labels import Labels
from therapyeval.display.pages import measures_page, metrics_page

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {"metrics.md": metrics_page, "measures.md": measures_page}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make pages`"


@pytest.mark.parametrize("name", metrics.names())
def test_the_command_prints_the_definition_as_the_end_of_a_report_does(name, capsys):
    entry = metrics.get(name)
    footer = definition_blocks([{"label": entry.label, "definition": entry.definition}], Labels(), ())[0].to_text()
    assert cli.main(["metrics", name]) == 0
    printed = capsys.readouterr().out
    for sentence in entry.said:
        assert sentence in printed and sentence in footer
    assert entry.said[1], "no source"


def test_names_and_labels_stand_in_columns(capsys):
    cli.main(["metrics"])
    lines = capsys.readouterr().out.splitlines()
    starts = {line.index(metrics.get(line.split()[0]).label) for line in lines}
    assert len(starts) == 1 and starts.pop() > max(map(len, metrics.names())) + 1


def test_with_a_measure_the_command_prints_its_thresholds_too(capsys):
    cli.main(["metrics", "mcid_rate:lefs"])
    printed = capsys.readouterr().out
    assert "threshold (the registered MCID)" in printed and "MCID 9" in printed.replace("  ", " ")


if __name__ == "__main__":
    for page, text in PAGES.items():
        (DOCS / page).write_text(text(), encoding="utf-8")
