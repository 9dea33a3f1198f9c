"""The second application: ``python -m cdk.images`` with context stackName, run by ``python -m deploy.images build``."""

from cdk.pinned_node import use_pinned_node


def main() -> None:
    """Synthesize the stack that builds container images, checked by cdk-nag."""
    use_pinned_node()
    import aws_cdk as cdk  # noqa: PLC0415 (jsii starts with it)
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    from cdk.images_stack import ImagesStack  # noqa: PLC0415

    app = cdk.App()
    ImagesStack(app, f"{app.node.get_context('stackName')}ImagesStack")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    app.synth()


if __name__ == "__main__":
    main()
