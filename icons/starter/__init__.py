"""The starter library: icons that this package draws from geometry, and labelled queries for them."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where they are: ``library.json``, its pictures, and ``queries.json``."""
