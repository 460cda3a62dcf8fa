"""Comparison with the program's own past, and with others. Its functions share their modules' names: import
them from there, as in `from therapyeval.benchmark.control_chart import control_chart`."""
