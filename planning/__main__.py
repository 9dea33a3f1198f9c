"""``python -m planning``: what a load costs and how long its jobs wait; also ``sd plan``."""

import sys

from planning.command import main

if __name__ == "__main__":
    sys.exit(main())
