"""`python -m bundle`: make the offline bundle, or only bring its recorded list of wheels up to date."""

import argparse
import sys
from pathlib import Path

from bundle.make import make, record
from bundle.wheels import OLDEST, PLATFORMS, BundleError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bundle", description=__doc__)
    parser.add_argument("--python", action="append", choices=tuple(OLDEST), help="instead of all; repeatable")
    parser.add_argument("--system", action="append", choices=tuple(PLATFORMS), help="instead of all; repeatable")
    parser.add_argument("--out", default="dist", metavar="DIR", help="where to put the folder (dist)")
    parser.add_argument("--list", action="store_true", help="bring bundle/wheels.txt up to date and download nothing")
    args = parser.parse_args()
    try:
        if args.list:
            record()
        else:
            print(f"Bundle: {make(Path(args.out), args.system or tuple(PLATFORMS), args.python or tuple(OLDEST))}")
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
