"""The platform's template without its cluster."""

import json

from aws_cdk import App, CfnOutput, DefaultStackSynthesizer
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from cdk.runtime_role import agent_statements
from cdk.task_flow import TaskFlow
from cdk.three_zones import ThreeZoneStack
from configuration.config import parse_config

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
INPUTS = "pictures-of-others"


def config_of(**changes):
    """A configuration with a runtime of each kind, one of them disabled."""
    runtimes = [
        {"name": "static", "type": "sdwebui", "modelFilename": "base.safetensors"},
        {"name": "dyn-1", "type": "sdwebui", "dynamicModel": True},
        {"name": "comfy", "type": "comfyui"},
        {"name": "old", "type": "sdwebui", "modelFilename": "old.safetensors", "disabled": True},
    ]
    return parse_config(
        {
            "stackName": "test",
            "modelBucketArn": "arn:aws:s3:::models",
            "inputBucketArns": [f"arn:aws:s3:::{INPUTS}"],
            "modelsRuntime": [{"namespace": runtime["name"], **runtime} for runtime in runtimes],
            **changes,
        }
    )


def task_flow(config):
    """Compose all that needs no cluster; gives the application, its stack and what is in it."""
    app = App()
    # The version of the bootstrap is a parameter that only an account can fill.
    synthesizer = DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
    stack = ThreeZoneStack(app, config.cloudformation_stack, synthesizer=synthesizer)
    key = kms.Key.from_key_arn(stack, "Key", config.kms_key_arn) if config.kms_key_arn else None
    flow = TaskFlow(
        stack,
        "Flow",
        config=config,
        code_of=lambda_.Code.from_inline,
        key=key,
        log_retention=logs.RetentionDays.ONE_MONTH,
    )
    CfnOutput(stack, "FrontApiEndpoint", value=flow.door.url)
    CfnOutput(stack, "GetAPIKeyCommand", value=flow.door.get_api_key_command)
    return app, stack, flow


def agent_role(runtime):
    """Where the logical id of a runtime's role begins."""
    return f"Agent{runtime.replace('-', '')}"


def template_text(config):
    """The template as CloudFormation gets it, with the roles of all agents."""
    app, stack, flow = task_flow(config)
    _agent_roles(stack, flow, config)
    return json.dumps(app.synth().get_stack_by_name(stack.stack_name).template)


def _agent_roles(stack, flow, config):
    for runtime in config.enabled_runtimes:
        role = iam.Role(stack, agent_role(runtime.name), assumed_by=iam.ServicePrincipal("pods.eks.amazonaws.com"))
        statements = agent_statements(
            queues=flow.messaging.queues[runtime.name],
            bucket=flow.bucket,
            input_bucket_arns=config.input_bucket_arns,
            notices=flow.messaging.notices,
            table=flow.table,
            key=flow.bucket.encryption_key,
        )
        for statement in statements:
            role.add_to_policy(statement)
