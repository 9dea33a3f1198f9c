"""What dashboard and alarms watch, by stand-ins of the same shape."""

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from cdk.messaging import RuntimeQueues
from cdk.metrics import Watched


def add_watched(stack, config):
    """Put them into a stack; the cluster is called sdoneksStack, the table jobs."""

    def queues(runtime):
        return {kind: sqs.Queue(stack, f"{kind}-{runtime}") for kind in ("main", "returned", "dead")}

    api = apigateway.RestApi(stack, "Api")
    api.root.add_method("POST")
    functions = {
        name: lambda_.Function.from_function_name(stack, name, name) for name in ("door", "returned", "reaper")
    }
    return Watched(
        queues={one.name: RuntimeQueues(**queues(one.name)) for one in config.models_runtime},
        api=api,
        table=dynamodb.Table.from_table_name(stack, "Jobs", "jobs"),
        cluster_name="sdoneksStack",
        **functions,
    )
