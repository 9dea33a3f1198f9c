"""How the server is, at this moment."""

from typing import Any

from runtimes.flux.server.crew import Worker
from runtimes.flux.server.ports import Device
from runtimes.flux.server.service import Service


def health(service: Service) -> dict[str, Any]:
    """Say whether the server lives, whether it takes jobs, and what each worker does."""
    workers = list(service.dispatcher.workers.values())
    return {
        "live": service.dispatcher.given_up is None,
        "ready": any(worker.is_there for worker in workers) and not service.stopping,
        "workers": [_worker(worker) for worker in workers],
        "queue": len(service.book.waiting),
        "model": _model(service),
    }


def _worker(worker: Worker) -> dict[str, Any]:
    supervisor = worker.supervisor
    drawn = [batch for batch in worker.undrawn if batch.began is not None]
    return {
        "device": supervisor.device.name if supervisor.device else str(supervisor.number),
        "state": supervisor.state.value,
        "restarts": supervisor.restarts,
        "given_up": supervisor.given_up,
        "running": [job.id for batch in drawn for job in batch.open_jobs],
        "memory": _memory(supervisor.device) if supervisor.device else None,
        "reason": supervisor.loss,
    }


def _memory(device: Device) -> dict[str, int]:
    return {
        "device_bytes": device.memory_bytes,
        "peak_bytes": device.peak_bytes,
        "host_peak_bytes": device.host_peak_bytes,
    }


def _model(service: Service) -> dict[str, Any]:
    options, card = service.settings.options, service.dispatcher.card
    known: dict[str, Any] = {"profile": options.profile, "source": options.where, "max_batch": options.max_batch}
    if card is not None:
        known |= {
            "family": card.family,
            "task_types": list(card.row.task_types),
            "steps": card.steps,
            "guidance": card.guidance,
            "size": card.row.size,
            "size_multiple": card.row.size_multiple,
            "max_sequence_length": card.max_sequence_length,
            "loras": [lora.name for lora in card.loras],
        }
    return known
