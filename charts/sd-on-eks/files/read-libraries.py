"""Reads the files of an image once: servers find them in memory at their imports, not on a disk that still fills.

Arguments: folders; those that are not there are left out.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

SIDE_BY_SIDE = 32
"""A volume that is filled from a snapshot delivers each block late, and many at a time."""
PIECE_BYTES = 1 << 20


def read(path):
    """Read a file to its end, if there is one that can be read."""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        while file.read(PIECE_BYTES):
            pass


with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
    for folder in sys.argv[1:]:
        pool.map(read, Path(folder).rglob("*"))
