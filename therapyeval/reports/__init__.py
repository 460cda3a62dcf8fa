"""Reports: a template run over data, published as one folder. Everything heavy loads when a report runs."""
