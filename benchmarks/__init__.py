"""Speed, measured as a ratio or a difference against a named peer in one run (`make bench`)."""
