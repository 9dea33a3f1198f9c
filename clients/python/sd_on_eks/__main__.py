"""``python -m sd_on_eks``: the command ``sd``."""

import sys

from sd_on_eks.cli import main

if __name__ == "__main__":
    sys.exit(main())
