"""Synthesizes the stacks of configurations, for pages that are written from them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cdk.stack import build
from configuration.file import load_config

ROOT = Path(__file__).parent.parent


def synthesized_template(path: Path) -> dict[str, Any]:
    """The template of a configuration."""
    config = load_config(path)
    with TemporaryDirectory() as folder:
        artifact = build(config, folder).synth().get_stack_by_name(config.cloudformation_stack)
        template: dict[str, Any] = json.loads(Path(artifact.template_full_path).read_text(encoding="utf-8"))
    return template
