"""``python -m runtimes.flux.server.pipeline.tiny FOLDER``: makes tiny models, and a LoRA for FLUX under ``Lora``."""

import argparse
from pathlib import Path

from runtimes.flux.server.pipeline.loading import keep_libraries_quiet
from runtimes.flux.server.pipeline.tiny.families import TINY
from runtimes.flux.server.pipeline.tiny.making import make_lora, make_model


def main() -> None:
    """Make what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m runtimes.flux.server.pipeline.tiny", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the models' folders are made")
    parser.add_argument("--family", choices=list(TINY), action="append", help="make this one alone; may be repeated")
    arguments = parser.parse_args()
    keep_libraries_quiet()
    for name in arguments.family or TINY:
        make_model(name, arguments.folder)
    make_lora(arguments.folder / "Lora" / "tiny.safetensors")


if __name__ == "__main__":
    main()
