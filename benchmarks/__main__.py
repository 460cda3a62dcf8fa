"""`python -m benchmarks`: run every benchmark and print its table (copy the figures to docs/performance.md)."""

from benchmarks import intake, report, startup

for benchmark in (startup, report, intake):
    print("\n".join(benchmark.run()), end="\n\n")
