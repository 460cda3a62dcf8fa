"""The command: parse, call the library, print text. One command is one library call."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import therapyeval as te
from therapyeval.errors import DataError, TherapyevalError, UnknownNameError, UsageError
from therapyeval.stats.variances import VARIANCES

if TYPE_CHECKING:
    from therapyeval.data import Dataset
    from therapyeval.result import Result

MAPPING_HELP = "how raw files are read: a file, or a name of `map --ready` (default: mapping.yml beside the data)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Users' errors print one message and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    args = _parser().parse_args(arguments)
    try:
        text, code = _as_pair(args.run(args))
        if text:
            print(text)
        return code
    except TherapyevalError as error:
        print(f"therapyeval: {error}", *getattr(error, "__notes__", ()), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def run_check(args: argparse.Namespace) -> tuple[str, int]:
    """Read the data and say what is in them, what is wrong, and what to do."""
    if args.html:
        from therapyeval.reports.quality_page import check_ending, write_quality
        check_ending(Path(args.html))
    dataset = _read(args)
    report = dataset.quality
    if args.html:
        found = te.quality(dataset, policy=args.policy)
        path = write_quality(found, args.html)
        text = (f"Data are {report.verdict}. Written to {path} under the policy "
                f"{found.bundle.record['policy']['name']}.")
    else:
        text = _shown_quality(dataset, as_json=args.json)
    from therapyeval.data.dataset import remember_definitions
    remember_definitions(args.data, dataset)
    return text, DataError.exit_code if report.verdict == "not usable" else 0


def _shown_quality(dataset: Dataset, *, as_json: bool) -> str:
    """The quality report for the screen: file rows, and small counts as they are."""
    found = te.quality(dataset, policy="internal")
    if as_json:
        told = {**dataset.quality.to_dict(), "definitions": found.bundle.record["definitions"],
                "results": found.bundle.to_dict()["tables"]}
        return json.dumps(told, indent=2, ensure_ascii=False)
    parts = ("definitions", "completeness", "pairing", "exclusions", "duplicates", "stale")
    return "\n\n".join([dataset.quality.to_text(), found.to_text(*parts), "Not released: do not share."])


def run_map(args: argparse.Namespace) -> str | tuple[str, int]:
    """Draft a mapping for raw files, or say what a mapping makes of them (--check)."""
    from therapyeval.data import ready
    if args.ready:
        return ready.listing()
    if not args.data:
        raise UsageError("say which folder or file: therapyeval map RAW")
    if args.check:
        return _coverage(args)
    if args.mapping:
        raise UsageError("--mapping goes with --check.")
    from therapyeval.data.draft import draft_mapping
    from therapyeval.data.mapping_text import mapping_text, n_checks, write_mapping
    text = mapping_text(draft_mapping(args.data))
    if not args.output:
        return text.rstrip()
    path = write_mapping(text, args.output, overwrite=args.overwrite)
    return (f"Draft written to {path}; lines to check: {n_checks(text)}. "
            f"Next: therapyeval map RAW --check --mapping {path}")


def run_import(args: argparse.Namespace) -> str:
    """Write raw data as a folder of canonical tables, with codes in place of ids and the rest in quarantine."""
    from therapyeval.data.importing import import_dataset
    return import_dataset(args.data, args.out, args.mapping).to_text()


def _coverage(args: argparse.Namespace) -> tuple[str, int]:
    from therapyeval.data.coverage import check_coverage
    if args.output:
        raise UsageError("--check prints to the screen only; leave -o out.")
    coverage = check_coverage(args.data, args.mapping)
    return coverage.to_text(), 0 if coverage.is_usable else DataError.exit_code


def run_measures(args: argparse.Namespace) -> str:
    """List the registered measures, or print one with its thresholds and their sources."""
    if args.code:
        return te.measures.get(args.code).to_text()
    width = max(map(len, te.measures.names()))
    return "\n".join(f"{code:<{width}}  {te.measures.get(code).name}" for code in te.measures.names())


def run_metrics(args: argparse.Namespace) -> str:
    """List the metrics, or print the definition of one."""
    if not args.name:
        width = max(map(len, te.metrics.names()))
        return "\n".join(f"{name:<{width}}  {te.metrics.get(name).label}" for name in te.metrics.names())
    if ":" not in args.name:
        return te.metrics.get(args.name).to_text()
    call = te.metrics.parse(args.name)
    return call.metric.to_text() + (f"\n\n{te.measures.get(call.measure).to_text()}" if call.measure else "")


def run_templates(args: argparse.Namespace) -> str:
    """List the report templates, or say what one shows and which parameters it takes."""
    from therapyeval.parameters import describe, read_template, templates
    if args.name:
        return describe(read_template(args.name))
    return "\n".join(f"{name:<20} {read_template(name).title}" for name in templates())


def run_sample(args: argparse.Namespace) -> str:
    """Write a sample data set: harbor_rehab is synthetic and made anew, the others are real and small."""
    from therapyeval.data.synthetic import write_sample
    from therapyeval.parameters import shipped_folder
    shipped = shipped_folder("data_samples")
    names = sorted(path.name for path in shipped.iterdir() if path.is_dir())
    if args.name not in names:
        raise UnknownNameError("sample", args.name, names)
    wanted = {"n_sites": args.sites, "n_episodes": args.episodes, "seed": args.seed,
              "file_format": "messy" if args.messy else args.format}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if args.name == "harbor_rehab":
        write_sample(Path(args.folder), **wanted)
    elif wanted:
        raise UsageError("--sites, --episodes, --seed, --format and --messy go with harbor_rehab only.")
    else:
        shutil.copytree(shipped / args.name, args.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    then = f"map {args.folder}/scheduler" if args.messy else f"check {args.folder}"
    return f"Sample {args.name} written to {args.folder}. Next: therapyeval {then}"


def run_summarize(args: argparse.Namespace) -> str:
    """Estimate metrics, overall or by group."""
    dataset = _read(args)
    cohort = dataset.cohort(**_pairs(args.where))
    result = te.summarize(cohort, args.metrics, by=args.by, period=args.period, every=args.every,
                          conf_level=args.conf_level, interval=args.interval)
    return _deliver(result, args, dataset)


def run_compare(args: argparse.Namespace) -> str:
    """Compare metrics between groups."""
    dataset = _read(args)
    cohort = dataset.cohort(**_pairs(args.where))
    result = te.compare(cohort, args.metrics, groups=args.groups, reference=args.reference or None, adjust=args.adjust,
                        period=args.period, cluster=args.cluster, variance=args.variance, missing=args.missing,
                        model=args.model,
                        subgroups=args.subgroup, margin=args.margin, p_adjust=args.p_adjust,
                        conf_level=args.conf_level)
    return _deliver(result, args, dataset)


def run_report(args: argparse.Namespace) -> tuple[str, int]:
    """Run a report template over data and publish it as one folder."""
    from therapyeval.parameters import parse_text, read_params_file, read_template
    template = read_template(args.template)
    given = read_params_file(template, args.file) if args.file else {}
    given |= parse_text(template, _pairs(args.parameters))
    given |= {name: value for name in ("data", "mapping", "policy", "data_cut") if (value := getattr(args, name))}
    run = te.run_report(template, given, args.out, progress=_progress)
    return f"Report: {run.folder / 'report.html'}", run.exit_code


def run_explore(args: argparse.Namespace) -> str:
    """Open the explorer as an app on this computer only (needs the extra `app`)."""
    from therapyeval.explorer.app import open_app
    open_app(args.data, mapping=args.mapping, policy=args.policy, data_cut=args.data_cut, port=args.port,
             browser=not args.no_browser)
    return ""


def _read(args: argparse.Namespace) -> Dataset:
    return te.read_dataset(args.data, mapping=args.mapping, data_cut=args.data_cut)


def _pairs(texts: Sequence[str]) -> dict[str, object]:
    """`name=value` words as a dictionary; a name given twice collects its values in a list."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{text[:60]!r}: write it as name=value.")
        earlier = found.get(name)
        if earlier is None:
            found[name] = value
        else:
            found[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
    return found


def _deliver(result: Result, args: argparse.Namespace, dataset: Dataset) -> str:
    """The result as text, or released and written to a file."""
    if not args.output:
        return result.to_text()
    from therapyeval import disclosure
    from therapyeval.reports import export
    policy = disclosure.choose_policy(args.policy, dataset.policy)
    released, = te.release([result], policy)
    path = export.write(released, Path(args.output))
    return f"Written to {path} under the policy {policy.name}."


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _as_pair(outcome: str | tuple[str, int]) -> tuple[str, int]:
    return outcome if isinstance(outcome, tuple) else (outcome, 0)


def _mapping(text: str) -> str:
    """A file, or the path of a mapping that comes with therapyeval."""
    from therapyeval.data import ready
    return ready.found(text)


def _conf_level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level < 1:
        raise argparse.ArgumentTypeError("the confidence level is a number between 0 and 1, such as 0.95")
    return level


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="therapyeval", description="Evaluate therapy programs: outcomes, visits, "
                                     "discharges, pilots. Results on the screen show everything; what is written "
                                     "to disk is checked against a privacy policy first.")
    parser.add_argument("--version", action="version", version=f"therapyeval {te.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _add_check(commands)

    draft = _command(commands, "map", run_map)
    draft.add_argument("data", nargs="?", metavar="RAW", help="folder with raw files, or one file")
    draft.add_argument("-o", "--output", metavar="mapping.yml", help="write the draft there (default: print it)")
    draft.add_argument("--overwrite", action="store_true", help="also where that file is there already")
    draft.add_argument("--check", action="store_true", help="say what is filled, not used, and not known")
    draft.add_argument("--mapping", type=_mapping, metavar="M", help=MAPPING_HELP)
    draft.add_argument("--ready", action="store_true", help="list the mappings that come with therapyeval")

    bring = _command(commands, "import", run_import)
    bring.add_argument("data", metavar="RAW", help="folder with raw files, one file, or a database")
    bring.add_argument("--out", required=True, metavar="DIR", help="new folder, or one that import wrote before")
    bring.add_argument("--mapping", type=_mapping, metavar="M", help=MAPPING_HELP)

    _command(commands, "measures", run_measures).add_argument("code", nargs="?", help="a measure, such as lefs")
    _command(commands, "metrics", run_metrics).add_argument("name", nargs="?", help="a metric, such as mcid_rate")
    _command(commands, "templates", run_templates).add_argument("name", nargs="?", help="a template")
    sample = _command(commands, "sample", run_sample)
    sample.add_argument("folder", metavar="DIR", help="where to write it")
    sample.add_argument("--name", default="harbor_rehab", help="which one (default harbor_rehab, synthetic)")
    sample.add_argument("--sites", type=int, metavar="N", help="sites of the synthetic network (8)")
    sample.add_argument("--episodes", type=int, metavar="N", help="episodes of care (18000); a million take minutes")
    sample.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same data (20260930)")
    shape = sample.add_mutually_exclusive_group()
    shape.add_argument("--format", choices=("parquet", "csv"), help="of the tables (parquet)")
    shape.add_argument("--messy", action="store_true", help="as three vendors would export them, truth kept aside")

    _add_questions(commands)
    _add_reports(commands)
    return parser


def _add_check(commands: argparse._SubParsersAction) -> None:
    check = _command(commands, "check", run_check)
    _data(check)
    written = check.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="print the report as JSON")
    written.add_argument("--html", metavar="FILE", help="write the report to FILE, one page, released")


def _add_questions(commands: argparse._SubParsersAction) -> None:
    summarize = _command(commands, "summarize", run_summarize)
    _data(summarize)
    summarize.add_argument("metrics", nargs="+", metavar="METRIC", help="such as mcid_rate:lefs or no_show_rate")
    summarize.add_argument("--by", action="append", metavar="C", help="attribute to group by; may be repeated")
    summarize.add_argument("--every", choices=("week", "month", "quarter", "year"))
    summarize.add_argument("--interval", choices=("default", "bootstrap"), default="default",
                           help="default: as the kind of metric needs; bootstrap: resampled patients")
    _question(summarize)

    compare = _command(commands, "compare", run_compare)
    _data(compare)
    compare.add_argument("metrics", nargs="+", metavar="METRIC", help="such as score_change:lefs or mcid_rate:lefs")
    compare.add_argument("--groups", required=True, metavar="C", help="attribute that names the groups")
    compare.add_argument("--reference", action="append", metavar="R", help="group that others are compared with")
    compare.add_argument("--adjust", action="append", default=[], metavar="C", help="covariate; may be repeated")
    compare.add_argument("--cluster", metavar="C", help="attribute whose values are clusters")
    compare.add_argument("--variance", choices=VARIANCES, default="HC3",
                         help="of an adjusted difference (HC3); with clusters CR2, or CR1 where that is asked for")
    compare.add_argument("--missing", choices=("complete", "impute", "weight", "worst", "best"), default="complete",
                         help="what is done about units without a value (complete: left out and counted)")
    compare.add_argument("--model", metavar="M", help="such as student, mann_whitney, logistic, mixed, iptw or cox "
                         "(default: by metric, covariates and clusters; the result says which and why)")
    compare.add_argument("--subgroup", action="append", default=[], metavar="C",
                         help="attribute with subgroups stated beforehand; adds the interaction test")
    compare.add_argument("--margin", metavar="X", help="of equivalence and non-inferiority: 0.1, 5 or \"0.5 MCID\"")
    compare.add_argument("--p-adjust", choices=("holm", "hochberg", "benjamini_hochberg"),
                         help="P values of all contrasts and metrics together")
    _question(compare)


def _add_reports(commands: argparse._SubParsersAction) -> None:
    explore = _command(commands, "explore", run_explore)
    _data(explore)
    explore.add_argument("--port", type=int, default=0, metavar="N", help="port on this computer (default: a free one)")
    explore.add_argument("--no-browser", action="store_true", help="only print the address")

    report = _command(commands, "report", run_report)
    report.add_argument("template", metavar="TEMPLATE", help="such as pilot_study")
    _data(report, option=True)
    report.add_argument("--out", required=True, metavar="DIR", help="folder for the run")
    report.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    report.add_argument("-f", dest="file", metavar="PARAMS.yml", help="parameters from a file")


def _command(commands: argparse._SubParsersAction, name: str,
             run: Callable[[argparse.Namespace], object]) -> argparse.ArgumentParser:
    text = (run.__doc__ or "").strip()
    command = commands.add_parser(name, help=text[0].lower() + text[1:].rstrip("."), description=text)
    command.set_defaults(run=run)
    return command


def _data(command: argparse.ArgumentParser, option: bool = False) -> None:
    """DATA with the options that go with it."""
    if option:
        command.add_argument("--data", required=True, metavar="DATA", help="folder with the data")
    else:
        command.add_argument("data", metavar="DATA", help="folder with the data")
    command.add_argument("--mapping", type=_mapping, metavar="M", help=MAPPING_HELP)
    command.add_argument("--policy", metavar="P", help="privacy policy of what is written: cms_11, internal or public")
    command.add_argument("--data-cut", metavar="DATE", help="nothing after this day is used")


def _question(command: argparse.ArgumentParser) -> None:
    command.add_argument("--where", action="append", default=[], metavar="C=V", help="filter; may be repeated")
    command.add_argument("--period", metavar="P", help="2026Q3, 2026-07, 2026, FY2026Q1 or FROM..TO")
    command.add_argument("--conf-level", type=_conf_level, default=0.95, metavar="L", help="of intervals (0.95)")
    command.add_argument("-o", "--output", metavar="F", help="write to F (.csv, .json, .xlsx or .parquet), released")


