import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configuration.file import load_config

BUCKET = "sdoneks-models-123456789012-us-west-2"
KEY = "Stable-diffusion/v1-5-pruned-emaonly.safetensors"
IMAGE = "registry.example/sd-on-eks/{}@sha256:" + "a" * 64
LOGS = "/aws/eks/sdoneksStack/cluster"
LINE = "cdk deploy --no-rollback --require-approval never"
EXAMPLE = Path(__file__).resolve().parents[2] / "config.yaml"


@dataclass
class Rung:
    """A step that is made to fail, and what the operator must read then."""

    title: str
    words: str
    arrange: Any
    mend: Any = lambda climb: climb.checkout.mend()
    arguments: tuple = ("--yes",)
    ended: Any = None


class Climb:
    """One deployment, run again and again; each time one step later fails."""

    def __init__(self, checkout, models):
        self.checkout, self.world, self.models = checkout, checkout.world, models

    def run(self, rungs):
        for rung in rungs:
            rung.arrange(self)
            rung.ended = self.checkout.run("deploy.sh", "-T", *rung.arguments)
            rung.mend(self)
        self.last = self.checkout.run("deploy.sh", "-T", "--yes")
        self.runs = [*(rung.ended for rung in rungs), self.last]

    def called(self, start):
        return [call for ended in self.runs for call in ended.calls if call.startswith(start)]


def broken(program):
    return lambda climb: climb.checkout.break_(program)


def remove_old(climb):
    # By now the snapshot is made, and as the real snapshot.sh would have tagged it.
    climb.checkout.answer(
        "snapshot.sh", climb.world.images_snapshot(IMAGE.format("sdwebui"), IMAGE.format("queue-agent"))
    )
    sqs = climb.world.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="sdoneksStack-old")["QueueUrl"])


RUNGS = (
    Rung("Tools", "leave out -T", broken("cdk-version")),
    Rung(
        "Quotas and region",
        "Log group",
        lambda climb: climb.world.client("logs").create_log_group(logGroupName=LOGS),
        lambda climb: climb.world.client("logs").delete_log_group(logGroupName=LOGS),
    ),
    Rung("Consent", "--yes", lambda climb: None, arguments=()),
    Rung(
        "Spot role",
        "credentials that may call CreateServiceLinkedRole",
        lambda climb: climb.world.denied.add("CreateServiceLinkedRole"),
        lambda climb: climb.world.denied.discard("CreateServiceLinkedRole"),
    ),
    Rung(
        "Model bucket",
        "is in eu-west-1",
        lambda climb: climb.world.bucket(BUCKET, "eu-west-1"),
        lambda climb: climb.world.client("s3", "eu-west-1").delete_bucket(Bucket=BUCKET),
    ),
    Rung(
        "Models",
        "it was not stored",
        lambda climb: climb.models.be(body=b"another file"),
        lambda climb: climb.models.be(),
    ),
    Rung("CDK bootstrap", "CDKToolkit", broken("cdk-bootstrap")),
    Rung("Images", "Look at the build's log", broken("images")),
    Rung("Snapshot", "snapshot.sh", broken("snapshot.sh")),
    Rung(
        "Removed runtimes",
        "old: 2 in sdoneksStack-old",
        lambda climb: climb.world.queue("sdoneksStack-old", messages=2),
        remove_old,
    ),
    Rung("Stack", "--no-rollback", broken("cdk-deploy")),
    Rung("Verification", "The platform is deployed", broken("run.sh")),
)


@pytest.fixture(scope="module")
def climb(new_checkout, model_server):
    climb = Climb(new_checkout(), model_server)
    climb.checkout.answer("snapshot.sh", climb.world.snapshot())
    shutil.copy(EXAMPLE, climb.checkout.config)
    climb.run(RUNGS)
    return climb


class TestFailuresAndResumes:
    @pytest.mark.parametrize("rung", RUNGS, ids=[rung.title for rung in RUNGS])
    def test_a_failure_names_its_step_and_what_to_do_and_only_the_steps_before_it_are_done(self, climb, rung):
        assert rung.ended.code == 1
        assert f"Step “{rung.title}” stopped" in rung.ended.err
        assert rung.words in rung.ended.err
        assert "  → " in rung.ended.err
        assert "Traceback" not in rung.ended.err
        number = [*(rung.title for rung in RUNGS)].index(rung.title)
        for other, one in enumerate(RUNGS):
            assert (f"] {one.title} …" in rung.ended.out) == (other <= number)

    def test_after_all_failures_the_same_command_ends_well_and_says_how_long_each_step_took(self, climb):
        assert (climb.last.code, climb.last.err) == (0, "")
        assert climb.last.out.count(" in all)") == 14

    def test_what_earlier_runs_made_is_not_made_again(self, climb):
        assert len(climb.called("cdk bootstrap")) == 2  # the one that failed, the one after it
        assert len(climb.called("snapshot.sh")) == 2
        assert "holds these images already" in climb.last.out
        assert climb.models.asked.count(None) == 1  # one download
        assert len(climb.called(LINE)) == 3  # the failing one, that of the failed verification, the last

    def test_a_file_that_is_not_the_published_one_is_not_stored(self, climb):
        s3 = climb.world.client("s3")
        assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
        assert s3.head_object(Bucket=BUCKET, Key=KEY)["ContentLength"] == 3 << 20


class TestTheStraightWay:
    def test_just_the_images_that_are_needed_are_built_and_put_into_a_snapshot(self, climb):
        assert climb.last.called("images")[0].startswith("images build queue-agent sdwebui -n sdoneks -R us-west-2 ")
        images = ",".join([IMAGE.format("sdwebui"), IMAGE.format("queue-agent")])
        ami = "/aws/service/bottlerocket/aws-k8s-1.36/x86_64/1.68.1/image_id"
        assert climb.called("snapshot.sh")[0].startswith(f"snapshot.sh -r us-west-2 -a {ami} -q {images} ")

    def test_the_runtime_is_verified(self, climb):
        verified = "run.sh  [region=us-west-2 stack=sdoneksStack runtime=sdruntime type=sdwebui]"
        assert climb.last.called("run.sh") == [verified]

    def test_config_yaml_loads_and_has_the_defaults_and_the_example_is_kept_beside_it(self, climb):
        config = load_config(climb.checkout.config)
        [runtime] = config.models_runtime
        values = runtime.extra_values
        assert (config.stack_name, config.model_bucket_arn) == ("sdoneks", f"arn:aws:s3:::{BUCKET}")
        assert (runtime.name, runtime.namespace, runtime.type) == ("sdruntime", "default", "sdwebui")
        assert runtime.model_filename == "v1-5-pruned-emaonly.safetensors"
        types = "g6.2xlarge g6.xlarge g5.xlarge g5.2xlarge"
        assert values.karpenter.provisioner.instance_type == types.split()
        assert (values.runtime.scaling.cooldown_period, values.runtime.scaling.max_replica_count) == (300, 5)
        assert values.runtime.inference_api.image.digest == values.runtime.queue_agent.image.digest != ""
        assert values.karpenter.node_template.data_volume.snapshot_id is not None
        [kept] = climb.checkout.root.glob("config.yaml.*.bak")
        assert kept.read_text() == EXAMPLE.read_text()

    def test_the_operator_reads_where_it_is_and_how_to_go_on(self, climb):
        for words in ("https://api.example/dev", "deploy/print-key.sh", "s3://pictures", "deploy/destroy.sh"):
            assert words in climb.last.out

    def test_the_bucket_is_private_encrypted_versioned_and_asks_for_tls(self, climb):
        s3, at = climb.world.client("s3"), {"Bucket": BUCKET}
        assert all(s3.get_public_access_block(**at)["PublicAccessBlockConfiguration"].values())
        assert s3.get_bucket_encryption(**at)["ServerSideEncryptionConfiguration"]["Rules"]
        assert s3.get_bucket_versioning(**at)["Status"] == "Enabled"
        assert "aws:SecureTransport" in s3.get_bucket_policy(**at)["Policy"]


def test_the_published_policy_allows_what_a_deployment_asks(climb, denied_by_policy):
    asked = climb.world.asked
    assert {"iam:CreateServiceLinkedRole", "s3:PutBucketPolicy", "service-quotas:GetServiceQuota"} <= asked
    assert denied_by_policy(asked) == set()
    assert denied_by_policy({"iam:CreateUser"}) == {"iam:CreateUser"}
    assert climb.world.client("iam").get_role(RoleName="AWSServiceRoleForEC2Spot")
