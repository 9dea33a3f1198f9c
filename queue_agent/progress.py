"""Asks how far a job is: a help for forecasts and for whoever watches, and nothing that a job may fail by."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from queue_agent.errors import AgentError

logger = logging.getLogger(__name__)

Progress = Callable[[], Awaitable[float | None]]
_ANSWER_S = 5.0


async def fraction_of(progress: Progress) -> float | None:
    """How far a job is, from 0 to 1; None where nobody can tell within 5 s, for whatever reason."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            fraction = await progress()
    except (AgentError, TimeoutError) as exc:
        logger.debug("the job's progress is unknown: %s", str(exc) or "no answer in time")
        return None
    except Exception:
        logger.exception("the job's progress is unknown")
        return None
    return fraction if isinstance(fraction, int | float) and 0 <= fraction <= 1 else None
