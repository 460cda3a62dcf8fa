"""`python -m therapyeval`: the command without a launcher, for machines that forbid those."""

import sys

from therapyeval.cli import main

sys.exit(main())
