"""A pilot: its plan (`protocol`), what came of it (`evaluation`), and how that is told (`sections`)."""
