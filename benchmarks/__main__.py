"""`python -m benchmarks`: run every benchmark and print its table (copy the figures to docs/performance.md)."""

from benchmarks import startup

for benchmark in (startup,):
    print("\n".join(benchmark.run()), end="\n\n")
