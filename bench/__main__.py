"""Runs every bench: ``python -m bench [--short]``."""

import argparse

from bench import door

_RUNS = 10
_SHORT_RUNS = 3


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{_SHORT_RUNS} runs of each kind instead of {_RUNS}")
    door.report(_SHORT_RUNS if parser.parse_args().short else _RUNS)


if __name__ == "__main__":
    main()
