"""What a run says about itself: in run.json, around the page, and on the second sheet of the workbook."""

from __future__ import annotations

import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import therapyeval
from therapyeval.disclosure.policy import PRESETS
from therapyeval.display.bundles import count_withheld
from therapyeval.formatting import count
from therapyeval.parameters import Template, Values, base_name
from therapyeval.reports import gates
from therapyeval.reports.publish import Page
from therapyeval.reports.spreadsheet import withheld_rows
from therapyeval.result import Bundle

_LIBRARIES = ("pandas", "numpy", "scipy", "statsmodels", "duckdb", "ibis-framework", "papermill", "nbconvert")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")


def describe_run(template: Template, values: Values, bundle: Bundle, started: datetime) -> dict[str, object]:
    """The content of run.json, but for the duration; plain data, base names only."""
    found = gates.read_gates(bundle.record)
    source = bundle.tables[0].result.source
    rows = bundle.to_frame()
    dataset = {"name": base_name(values.data), **_block(bundle, "dataset")}
    return {
        "status": "gate failed" if gates.failed(found) else "complete", "exit_code": gates.exit_code(found),
        "title": bundle.title, "template": {"name": template.name, "title": template.title},
        "parameters": values.public(),
        "policy": bundle.tables[0].result.policy, "policy_details": _block(bundle, "policy"),
        "fingerprint": source.fingerprint, "data_cut": source.data_cut, "dataset": dataset,
        "counts": {"tables": len(bundle.tables), "rows": len(rows), "rows_withheld": int(withheld_rows(rows).sum()),
                   "numbers_withheld": count_withheld(bundle).total(), **_block(bundle, "counts")},
        "gates": [gate.to_dict() for gate in found], "notes": list(bundle.record.get("notes", ())),
        "seeds": _block(bundle, "seeds"), "versions": {**source.versions, **_versions()},
        "started": started.isoformat(timespec="seconds"),
    }


def around(bundle: Bundle, record: dict) -> Page:
    """What stands around the notebook's outputs on the page."""
    facts = [("Data", str(record["dataset"]["name"])), ("Data up to", _day(record["data_cut"])),
             ("Privacy policy", _policy(record)), ("Made", _made(record))]
    preset = PRESETS.get(record["policy"])
    banner = record["policy_details"].get("banner") or (preset.banner if preset else "")
    return Page(title=bundle.title, kind=str(record["template"]["title"]), version=therapyeval.__version__,
                facts=tuple((term, text) for term, text in facts if text), provenance=tuple(provenance(record)),
                banner=banner, failed=gates.failed(gates.read_gates(bundle.record)))


def provenance(record: dict) -> list[tuple[str, str]]:
    """The few facts by which somebody else can find and repeat this run."""
    counts, template = record["counts"], record["template"]["name"]
    hidden = f"{count(counts['numbers_withheld'])} of {count(counts['rows'])} numbers (rows of results.csv)"
    lines = [("Data fingerprint", f"{str(record['fingerprint'])[:16]} (start of the SHA-256 of what was read)"),
             ("Withheld", f"{hidden}; in other rows a count beside the number may be withheld"),
             ("Template", f"{template}, {_given(record)}"),
             ("Software", f"therapyeval {therapyeval.__version__}, Python {platform.python_version()}"),
             ("Made", _made(record))]
    return lines if record["fingerprint"] else lines[1:]


def about_lines(bundle: Bundle, record: dict) -> list[tuple[str, str]]:
    """Label and text for the sheet that explains the workbook."""
    lines = [("Report", bundle.title), ("Privacy policy", _policy(record)), ("Data", str(record["dataset"]["name"])),
             ("About the data", str(record["dataset"].get("note") or "")), ("Data up to", _day(record["data_cut"])),
             *provenance(record)]
    lines += [("Check", f"{gate['name']}: {'passed' if gate['passed'] else 'FAILED'}"
               f"{', required' if gate['required'] else ''}. {gate['note']}") for gate in record["gates"]]
    lines += [("Note", str(note)) for note in record["notes"]]
    lines += [("", ""), ("Table", "Title")]
    for named in bundle.tables:
        intervals = f"{100 * named.result.conf_level:g}% intervals"
        lines.append((f"{named.section}, {named.table}", f"{named.result.title} ({intervals})"))
    return [(label, text) for label, text in lines if text or not label]


def _block(bundle: Bundle, name: str) -> dict:
    value = bundle.record.get(name)
    return dict(value) if isinstance(value, dict) else {}


def _policy(record: dict) -> str:
    details = record["policy_details"]
    why = details.get("banner") or details.get("reason") or ""
    return f"{record['policy']}{f': {why}' if why else ''}"


def _given(record: dict) -> str:
    given = {name: value for name, value in record["parameters"].items() if name != "data"}
    return "; ".join(f"{name} {value}" for name, value in given.items()) or "without parameters"


def _made(record: dict) -> str:
    made = datetime.fromisoformat(record["started"])
    return f"{_day(made.date().isoformat())}, {made:%H:%M} UTC"


def _day(text: str | None) -> str:
    if not text:
        return ""
    year, month, day = text[:10].split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"


def _versions() -> dict[str, str]:
    versions = {"therapyeval": therapyeval.__version__, "python": platform.python_version(),
                "system": platform.system()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
