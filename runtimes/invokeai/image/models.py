"""Records the models of a folder in InvokeAI's database, in place: ``python -m runtimes.invokeai.image.models FOLDER``.

INVOKEAI_ROOT says whose database. It is done by InvokeAI's own code before the server starts, so that a server that
takes jobs has all its models. Models are recorded once: the database lasts as long as the pod.
"""

import sys
from pathlib import Path
from typing import Any

from invokeai.app.services.config.config_default import get_config
from invokeai.app.services.download import DownloadQueueService
from invokeai.app.services.image_files.image_files_disk import DiskImageFileStorage
from invokeai.app.services.model_install import ModelInstallService
from invokeai.app.services.model_records import ModelRecordServiceSQL
from invokeai.app.services.shared.sqlite.sqlite_util import init_db
from invokeai.backend.model_manager.search import ModelSearch
from invokeai.backend.util.logging import InvokeAILogger


def record_models(folder: Path) -> None:
    """Record the models that are not yet, and forget those whose files are gone."""
    config = get_config()
    logger = InvokeAILogger.get_logger(config=config)
    database = init_db(config, logger, DiskImageFileStorage(config.outputs_path / "images"))
    records = ModelRecordServiceSQL(db=database, logger=logger)
    installer = ModelInstallService(config, records, DownloadQueueService(app_config=config))
    recorded = forget_missing(records)
    for path in sorted(ModelSearch().search(folder) if folder.is_dir() else ()):
        if str(path) not in recorded:
            try:
                installer.register_path(path)
            except Exception as exc:  # noqa: BLE001 (InvokeAI tells unknown files by errors of many kinds)
                logger.warning(f"{path} is not recorded: {type(exc).__name__}")


def forget_missing(records: Any) -> set[str]:
    """Remove the records of models whose files are gone; returns the paths of all others."""
    kept = set()
    for model in records.all_models():
        if Path(model.path).exists():
            kept.add(model.path)
        else:
            records.del_model(model.key)
    return kept


if __name__ == "__main__":
    record_models(Path(sys.argv[1]))
