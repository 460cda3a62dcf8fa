"""`python -m benchmarks`: run every benchmark and print its table (copy the figures to docs/performance.md)."""

from benchmarks import report, startup

for benchmark in (startup, report):
    print("\n".join(benchmark.run()), end="\n\n")
