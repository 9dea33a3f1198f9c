"""An endpoint of SageMaker that the deployment makes for a runtime; an asynchronous one costs nothing while idle."""

from pathlib import Path
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk.context import Context, allow, owned_by
from cdk.nag import acknowledge_wildcards
from cdk.storage import acknowledge_objects
from configuration.config import ModelsRuntime
from configuration.images import IMAGES, account_registry
from contract.objects import s3_url, split_s3_url
from runtimes.sagemaker.options import FOLDER, IMAGE, NewEndpoint, SageMakerEndpoint

_ROOT = Path(__file__).parent.parent
_VARIANT = "AllTraffic"
_MODEL_FOLDER = "/opt/ml/model"
"""Where SageMaker puts model data."""
_START_S = 1800
"""As long as the flux server gives its workers; SageMaker's default is 480 s."""
_COOLDOWN_S = 300
_BACKLOG_PER_INSTANCE = 4
"""Another instance is worth its start, some minutes, when so many requests wait for each."""


def new_endpoint_of(runtime: ModelsRuntime) -> NewEndpoint | None:
    """What config.yaml says of the endpoint that is to be made for a runtime; None where none is."""
    return runtime.model.make if isinstance(runtime.model, SageMakerEndpoint) else None


class ModelEndpoint(Construct):
    """A runtime's endpoint: model, configuration, role, log, and its way to zero instances and back.

    In real time it always has ``maxInstances``. The runtime's ``model`` must say ``make``.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, context: Context, runtime: ModelsRuntime, bucket: s3.IBucket
    ) -> None:
        super().__init__(scope, construct_id)
        options, new = runtime.model, new_endpoint_of(runtime)
        if not isinstance(options, SageMakerEndpoint) or new is None:
            raise TypeError(f"Runtime {runtime.name} has no endpoint to make.")
        context.log_group(self, "Log", name=f"/aws/sagemaker/Endpoints/{options.endpoint}")
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        running = _running_statements(context, options, new)
        for statement in (*running, *_result_statements(context, options, bucket)):
            role.add_to_policy(statement)
        acknowledge_wildcards(role, running, "The endpoint's own log, metrics and model, named as SageMaker does.")
        if options.mode == "async":
            acknowledge_objects(role, FOLDER)
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            primary_container=self._container(options, new),
            # The files are there; a container that can reach nothing can leak nothing.
            enable_network_isolation=new.model_data is not None,
        )
        model.node.add_dependency(role)
        configuration = sagemaker.CfnEndpointConfig(
            self,
            "Configuration",
            production_variants=[self._variant(options, new, model)],
            async_inference_config=self._asynchronous(context, options, bucket) if options.mode == "async" else None,
        )
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=options.endpoint,
            endpoint_config_name=configuration.attr_endpoint_config_name,
            # Or an update would start with one instance, however many there are.
            retain_all_variant_properties=True,
        )
        if options.mode == "async":
            self._scale(options, new).node.add_dependency(endpoint)

    def _container(
        self, options: SageMakerEndpoint, new: NewEndpoint
    ) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        flux = {}
        if options.flux is not None:
            flux = {"MODEL_OPTIONS": options.flux.to_json()}
            if new.model_data is not None:
                flux["MODELS_FOLDER"] = _MODEL_FOLDER
        data: Any = sagemaker.CfnModel.S3DataSourceProperty
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=new.image or self._own_image(),
            environment={**flux, **new.environment} or None,
            model_data_source=None
            if new.model_data is None
            else sagemaker.CfnModel.ModelDataSourceProperty(
                s3_data_source=data(compression_type="None", s3_data_type="S3Prefix", s3_uri=new.model_data)
            ),
        )

    def _own_image(self) -> str:
        stack, source = Stack.of(self), IMAGES[IMAGE]
        registry = account_registry(account=stack.account, region=stack.region, url_suffix=stack.url_suffix)
        return f"{registry}/{source.repository}:{source.tag(_ROOT)}"

    def _variant(
        self, options: SageMakerEndpoint, new: NewEndpoint, model: sagemaker.CfnModel
    ) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=_VARIANT,
            model_name=model.attr_model_name,
            instance_type=new.instance_type,
            initial_instance_count=1 if options.mode == "async" else new.max_instances,
            initial_variant_weight=1,
            container_startup_health_check_timeout_in_seconds=_START_S,
            model_data_download_timeout_in_seconds=_START_S if new.model_data else None,
        )

    def _asynchronous(
        self, context: Context, options: SageMakerEndpoint, bucket: s3.IBucket
    ) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
        folder = s3_url(bucket.bucket_name, FOLDER)
        return sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
            output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
                s3_output_path=folder,
                s3_failure_path=f"{folder}failures/",
                kms_key_id=context.key.key_arn if context.key else None,
            ),
            client_config=sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
                max_concurrent_invocations_per_instance=options.flux.max_batch if options.flux else 1
            ),
        )

    def _scale(self, options: SageMakerEndpoint, new: NewEndpoint) -> scaling.CfnScalableTarget:
        """Instances by backlog: none for none, and one as soon as a request waits.

        As in SageMaker's guide, "Autoscale an asynchronous endpoint".
        """
        target = scaling.CfnScalableTarget(
            self,
            "Instances",
            min_capacity=0,
            max_capacity=new.max_instances,
            resource_id=f"endpoint/{options.endpoint}/variant/{_VARIANT}",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            service_namespace="sagemaker",
        )
        self._scale_by_backlog(options, target)
        self._wake_from_zero(options, target)
        return target

    def _scale_by_backlog(self, options: SageMakerEndpoint, target: scaling.CfnScalableTarget) -> None:
        dimension = scaling.CfnScalingPolicy.MetricDimensionProperty(name="EndpointName", value=options.endpoint)
        scaling.CfnScalingPolicy(
            self,
            "ByBacklog",
            policy_name=f"{options.endpoint}-by-backlog",
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration=scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=_BACKLOG_PER_INSTANCE,
                scale_in_cooldown=_COOLDOWN_S,
                scale_out_cooldown=_COOLDOWN_S,
                customized_metric_specification=scaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
                    namespace="AWS/SageMaker",
                    metric_name="ApproximateBacklogSizePerInstance",
                    dimensions=[dimension],
                    statistic="Average",
                ),
            ),
        )

    def _wake_from_zero(self, options: SageMakerEndpoint, target: scaling.CfnScalableTarget) -> None:
        wake = scaling.CfnScalingPolicy(
            self,
            "FromZero",
            policy_name=f"{options.endpoint}-from-zero",
            policy_type="StepScaling",
            scaling_target_id=target.ref,
            step_scaling_policy_configuration=scaling.CfnScalingPolicy.StepScalingPolicyConfigurationProperty(
                adjustment_type="ChangeInCapacity",
                metric_aggregation_type="Average",
                cooldown=_COOLDOWN_S,
                step_adjustments=[
                    scaling.CfnScalingPolicy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)
                ],
            ),
        )
        cloudwatch.CfnAlarm(
            self,
            "Waiting",
            alarm_description=f"Requests wait, and endpoint {options.endpoint} has no instance: it gets one.",
            namespace="AWS/SageMaker",
            metric_name="HasBacklogWithoutCapacity",
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name="EndpointName", value=options.endpoint)],
            statistic="Average",
            period=60,
            evaluation_periods=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="missing",
            alarm_actions=[wake.ref],
        )


def _running_statements(context: Context, options: SageMakerEndpoint, new: NewEndpoint) -> list[iam.PolicyStatement]:
    """What the endpoint needs to run: its image, its model, its log and its metrics."""
    partition, account, region, repository = Aws.PARTITION, Aws.ACCOUNT_ID, Aws.REGION, IMAGES[IMAGE].repository
    group = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints/{options.endpoint}"
    if new.image is not None:
        host, _, path = new.image.partition("/")
        account, _, _, region, *_ = host.split(".")
        repository = path.partition("@")[0].partition(":")[0]
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    namespaces = {"StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]}}
    statements = [
        allow(["ecr:GetAuthorizationToken"], ["*"]),
        allow(pull, [f"arn:{partition}:ecr:{region}:{account}:repository/{repository}"]),
        allow(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], [group, f"{group}:*"]),
        allow(["cloudwatch:PutMetricData"], ["*"], namespaces),
    ]
    if new.model_data is not None:
        name, prefix = split_s3_url(new.model_data)
        source, owned = f"arn:{partition}:s3:::{name}", owned_by(context.config.bucket_accounts)
        statements.append(allow(["s3:GetObject"], [f"{source}/{prefix}*"], owned))
        statements.append(allow(["s3:ListBucket"], [source], {**owned, "StringLike": {"s3:prefix": f"{prefix}*"}}))
    return statements


def _result_statements(context: Context, options: SageMakerEndpoint, bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    """What an asynchronous endpoint needs to read large requests and to write results."""
    if options.mode != "async":
        return []
    actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    return [allow(actions, [bucket.arn_for_objects(f"{FOLDER}*")], owned_by([])), *context.key_statements("s3")]
