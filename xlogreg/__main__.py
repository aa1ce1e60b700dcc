"""`python -m xlogreg`."""

import sys

from xlogreg.cli import main

if __name__ == "__main__":
    sys.exit(main())
