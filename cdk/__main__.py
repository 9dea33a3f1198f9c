"""CDK's application: ``python -m cdk``; cdk.json runs it.

CDK_CONFIG_PATH names a file in place of config.yaml. CDK_AVAILABILITY_ZONES gives the zones, separated by commas,
where the file leaves them open.
"""

import os
import sys
from pathlib import Path

from cdk.stack import build
from configuration.config import ConfigError
from configuration.file import load_config
from configuration.warnings import warnings

_EXAMPLE_BUCKET = "arn:aws:s3:::sd-on-eks-models"
_DEFAULT_CONFIG = Path(__file__).parent.parent / "config.yaml"


def main() -> int:
    """Synthesize; 1 when the configuration has errors, which are printed."""
    path = Path(os.environ.get("CDK_CONFIG_PATH") or _DEFAULT_CONFIG)
    try:
        config = load_config(path).in_zones(os.environ.get("CDK_AVAILABILITY_ZONES", ""))
    except (ConfigError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 1
    if config.model_bucket_arn == _EXAMPLE_BUCKET:
        print(f"{path.name}: modelBucketArn is still the example's; name a bucket of your account", file=sys.stderr)
    for warning in warnings(config):
        print(f"{path.name}: {warning.pointer} {warning.detail}", file=sys.stderr)
    build(config).synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
