"""The scaler as a process: ``python -m scaler``. It reads nothing until it is asked."""

import asyncio
import gc
import logging
import os
import signal
import sys

from scaler.readings import open_readings
from scaler.server import serve
from scaler.settings import ScalerSettings, ScalerSettingsError


async def run(settings: ScalerSettings) -> None:
    """Answer until SIGTERM or SIGINT; ScalerSettingsError if the port cannot be listened on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_readings(settings) as readings, serve(readings, port=settings.port):
        gc.freeze()
        await stop.wait()


def main() -> int:
    """Run it; 0 after a signal, 2 for wrong settings."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("scaler").setLevel(logging.INFO)
    try:
        asyncio.run(run(ScalerSettings.from_environ(os.environ)))
    except ScalerSettingsError as exc:
        print(f"scaler: {exc}", file=sys.stderr)  # noqa: T201 (the last word before the exit)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
