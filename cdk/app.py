"""The application: one stack, checked by cdk-nag while it is synthesized."""

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from cdk.stack import PlatformStack
from configuration.config import Config


def build(config: Config, outdir: str | None = None) -> cdk.App:
    """Compose the application.

    Args:
        config: The configuration.
        outdir: The folder of the cloud assembly. Default: the one that CDK's command line sets.
    """
    app = cdk.App(outdir=outdir)
    PlatformStack(app, config.cloudformation_stack, config=config)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    return app
