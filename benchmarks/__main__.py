"""`python -m benchmarks`: run every benchmark and print its table (copy the figures to docs/performance.md)."""

from benchmarks import bootstrap, clustered, intake, metrics, report, startup

for benchmark in (startup, report, intake, metrics, clustered, bootstrap):
    print("\n".join(benchmark.run()), end="\n\n")
