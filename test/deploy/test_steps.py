"""Single steps of a rollout, in this process: config.yaml, bucket, models, images, snapshot, removed runtimes."""

import json

import pytest
import yaml

from configuration.images import IMAGES
from deploy.errors import DeployError
from deploy.rollout.__main__ import after_preparing
from deploy.rollout.config_yaml import ConfigYaml
from deploy.rollout.steps.config import config_file, removed_runtimes
from deploy.rollout.steps.images import images
from deploy.rollout.steps.models import model_bucket, models
from deploy.rollout.steps.snapshot import snapshot
from deploy.scripts import ROOT

OURS = "123456789012.dkr.ecr.us-west-2.amazonaws.com/sd-on-eks"
DIGEST = "sha256:" + "b" * 64
STRANGER = "210987654321"
MINE, AGENT = {"repository": "mine", "tag": "7"}, {"repository": "agent", "tag": "7"}
MODEL = "Stable-diffusion/v1-5-pruned-emaonly.safetensors"
OWN = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: one, type: sdwebui, modelFilename: one.safetensors}
  - {name: two, namespace: two, type: comfyui, disabled: true}
"""
FLUX = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: one, type: flux, model: MODEL, extraValues: {runtime: {inferenceApi: {extraEnv: ENV}}}}
"""


@pytest.fixture
def own(inside, world, deployment):
    """A deployment with a config.yaml of the operator's."""

    def open_(*arguments, text=OWN):
        if not world.client("s3").list_buckets()["Buckets"]:
            world.bucket("mine")
        inside.config.write_text(text)
        return deployment(*arguments)

    return open_


def flux(model, env="[]"):
    return FLUX.replace("MODEL", model).replace("ENV", env)


def with_images(snapshot=None, *, server=None, agent=None, profile=None):
    """A file whose one runtime has these images, and starts from a snapshot."""
    values = {
        "karpenter": {"nodeTemplate": {"dataVolume": {"snapshotID": snapshot}}},
        "runtime": {"inferenceApi": {"image": server or {}}, "queueAgent": {"image": agent or {}}},
    }
    runtime = {"name": "one", "namespace": "one", "type": "comfyui", "extraValues": values}
    place = {"stackName": "sdoneks", "profile": profile, "modelBucketArn": "arn:aws:s3:::mine"}
    return json.dumps({**place, "modelsRuntime": [runtime]})


class TestConfigYaml:
    def test_a_first_deployment_is_lean_and_stays_what_its_file_says(self, inside, world, deployment):
        world.bucket("mine")
        config_file.run(deployment("-b", "mine"))
        assert deployment("-b", "mine").config.profile == "lean"
        assert snapshot.run(deployment("-b", "mine")).startswith("none: new nodes pull their images first")
        content = yaml.safe_load(inside.config.read_text())
        del content["profile"]
        ConfigYaml(inside.config).write(content)  # as an earlier release wrote it
        earlier = deployment("-b", "mine")
        assert "profile" not in earlier.new_config
        assert earlier.makes_snapshot
        inside.config.unlink()
        deployed = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
        world.client("cloudformation").create_stack(StackName="sdoneksStack", TemplateBody=deployed)
        assert "profile" not in deployment("-b", "mine").new_config

    def test_a_file_of_the_scripts_own_is_written_again_until_a_letter_changes(self, inside, world, deployment):
        world.bucket("mine")
        config_file.run(deployment("-b", "mine"))
        config_file.run(deployment("-r", "other"))
        assert "name: other" in inside.config.read_text()
        edited = inside.config.read_text().replace("maxReplicaCount: 5", "maxReplicaCount: 7")
        inside.config.write_text(edited)
        opened = deployment()
        config_file.run(opened)
        assert inside.config.read_text() == edited
        assert opened.config.models_runtime[0].extra_values.runtime.scaling.max_replica_count == 7
        assert list(inside.root.glob("*.bak")) == []

    def test_another_deployments_file_is_moved_aside_never_over_an_earlier_one(self, own, inside, capsys):
        for number in (1, 2):
            config_file.run(own("-n", "other"))
            assert (inside.root / f"config.yaml.{number}.bak").read_text() == OWN
        assert "config.yaml.2.bak" in capsys.readouterr().out

    def test_a_file_with_faults_stops_the_run_with_their_lines(self, own):
        with pytest.raises(DeployError, match="line 3: modelBucketArn"):
            own(text=OWN.replace("arn:aws:s3:::mine", "<bucket name>"))

    def test_a_deployment_by_hand_gets_the_zones_that_a_file_leaves_open(self, own):
        variable = "CDK_AVAILABILITY_ZONES=us-west-2a,us-west-2b,us-west-2c cdk deploy"
        assert variable in after_preparing(own())
        named = "vpc: {availabilityZones: [us-west-2b, us-west-2c, us-west-2d]}"
        assert variable not in after_preparing(own(text=f"{OWN}\n{named}\n"))

    def test_options_without_effect_are_told(self, own, world, capsys):
        config_file.run(own("-s", world.snapshot(), "-r", "absent"))
        told = capsys.readouterr().out
        assert "-r absent has no effect: config.yaml has one, two" in told
        assert "has no effect on one" in told

    def test_a_name_that_no_runtime_may_have_is_refused_before_anything(self, deployment):
        with pytest.raises(DeployError, match=r"modelsRuntime\[0\].name"):
            deployment("-r", "Not_A_Name")


class TestBucketAndModels:
    def test_a_named_bucket_must_exist_and_is_left_as_it_is(self, deployment, world):
        with pytest.raises(DeployError, match="no bucket absent"):
            model_bucket.run(deployment("-b", "absent"))
        model_bucket.run(deployment("-b", world.bucket("mine")))
        assert world.client("s3").get_bucket_versioning(Bucket="mine").get("Status") is None

    def test_a_strangers_bucket_is_used_only_where_config_yaml_names_its_account(self, own, deployment, world):
        name = world.bucket("sd-on-eks-models")  # everybody may read it
        world.bucket_owners[name] = STRANGER
        with pytest.raises(DeployError, match="belongs to somebody else"):
            model_bucket.run(deployment("-b", name))
        text = OWN.replace(":mine", f":{name}")
        opened = own(text=text)
        assert opened.bucket == "sdoneks-models-123456789012-us-west-2"
        assert "its model bucket is not this account's" in config_file.plan(opened)
        opened = own(text=f"{text}bucketAccounts: ['{STRANGER}']\n")
        assert model_bucket.run(opened) == f"{name} is there"

    def test_a_model_that_config_yaml_names_must_be_under_stable_diffusion(self, own, world):
        opened = own()
        world.model("mine", "one.safetensors")
        with pytest.raises(DeployError, match=r"deploy/upload-model.sh one.safetensors Stable-diffusion mine"):
            models.run(opened)
        world.model("mine", "Stable-diffusion/one.safetensors")
        assert models.run(opened) == "one.safetensors in Stable-diffusion/"

    def test_a_default_model_that_is_there_already_is_verified_and_not_downloaded(self, inside, deployment, world):
        opened = deployment("-b", world.bucket("mine"))
        world.model("mine", MODEL, body=b"not the published one")
        with pytest.raises(DeployError, match="with different content"):
            models.run(opened)

    def test_more_models_than_pods_may_copy_are_refused_with_both_sizes(self, own, world):
        copied = "one.safetensors, extraValues: {runtime: {persistence: {mode: copy, copySize: 1Mi}}}"
        opened = own(text=OWN.replace("one.safetensors", copied))
        world.model("mine", "Stable-diffusion/one.safetensors", body=b"small")
        world.model("mine", "Stable-diffusion/other.safetensors")
        assert models.run(opened) == "one.safetensors in Stable-diffusion/"
        world.model("mine", "Lora/large.safetensors")
        with pytest.raises(
            DeployError, match=r"(?s)Pods of one cannot copy.*more than the 0.0 GB of persistence.copySize"
        ):
            models.run(opened)

    SECRET = "[{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}]"
    HUB = "from the Hugging Face hub"

    @pytest.mark.parametrize(
        ("text", "there", "origin"),
        [
            (flux("{profile: flux-dev, source: flux/dev}"), "flux/dev", "flux/dev in the bucket"),
            (flux("{source: acme/model, revision: v2}"), "acme/model", f"one fetches acme/model {HUB}"),
            (flux("{profile: qwen-image-edit}"), "", f"one fetches Qwen/Qwen-Image-Edit-2509 {HUB}"),
            (flux("{profile: flux-dev}", "{HF_TOKEN: x}"), "", f"one fetches black-forest-labs/FLUX.1-dev {HUB}"),
            (flux("{profile: flux-dev}", SECRET), "", f"one fetches black-forest-labs/FLUX.1-dev {HUB}"),
        ],
    )
    def test_a_model_comes_from_the_bucket_unless_a_revision_is_named_else_from_the_hub(
        self, own, world, text, there, origin
    ):
        opened = own(text=text)
        if there:
            world.model("mine", f"{there}/model_index.json")
        assert models.plan(opened) == models.run(opened) == origin

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            ("{source: mine, revision: v2}", "asks for revision v2 of mine, and mine is no id"),
            (
                "{profile: flux-dev}",
                "(?s)only for a token.*upload-model.sh DOWNLOADED black-forest-labs/FLUX.1-dev mine",
            ),
            ("{source: my-model}", "my-model/ of one is not in bucket mine"),
        ],
    )
    def test_a_model_that_pods_cannot_get_is_refused_with_what_to_do(self, own, model, words):
        with pytest.raises(DeployError, match=words):
            models.run(own(text=flux(model)))

    @pytest.fixture
    def china(self, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.context.offered", lambda _, types: list(types))
        return lambda *arguments: deployment("-R", "cn-northwest-1", *arguments)

    def test_china_stops_without_a_bucket_or_the_model_in_it_and_gets_its_own_arns_and_instances(self, china, world):
        with pytest.raises(DeployError, match="Hugging Face cannot be reached"):
            china()
        opened = china("-b", world.bucket("mine", "cn-northwest-1"))
        with pytest.raises(DeployError, match=r"upload-model.sh v1-5-pruned-emaonly.safetensors Stable-diffusion mine"):
            models.plan(opened)
        assert opened.config.model_bucket_arn == "arn:aws-cn:s3:::mine"
        types = opened.config.models_runtime[0].extra_values.karpenter.provisioner.instance_type
        assert types == ["g4dn.xlarge", "g4dn.2xlarge"]


class TestImages:
    @pytest.fixture
    def built(self, monkeypatch):
        """Builds whatever the step asks for; gives the names."""
        names = []

        def output_of(command, **_):
            names.extend(command[4 : command.index("-n")])
            return json.dumps({name: {"repository": f"{OURS}/{name}", "digest": DIGEST} for name in names})

        monkeypatch.setattr("deploy.rollout.steps.images.output_of", output_of)
        return names

    FOREIGN = OWN.replace("disabled: true", "disabled: true, chartRepository: oci://registry.example/mine")

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            (OWN, ["comfyui", "queue-agent", "sdwebui"]),  # the disabled runtime's too
            (FOREIGN, ["queue-agent", "sdwebui"]),
            (with_images(server=MINE), ["queue-agent"]),
            *((with_images(server=MINE, agent=agent), []) for agent in (AGENT, {"tag": "7"}, {"digest": DIGEST})),
            (with_images(server=MINE, agent={"digest": DIGEST}, profile="lean"), ["queue-agent-arm64"]),  # the scaler's
        ],
    )
    def test_just_the_images_that_config_yaml_leaves_open_are_built(self, own, built, text, names):
        opened = own(text=text)
        plan = f"build what the registry lacks of {', '.join(names)}" if names else "config.yaml names them"
        assert images.plan(opened) == plan
        images.run(opened)
        assert built == names

    def test_images_of_ours_are_told_unless_this_checkout_built_them(self, own, world, capsys):
        ecr, repository, digests = world.client("ecr"), "sd-on-eks/queue-agent", {}
        ecr.create_repository(repositoryName=repository)
        this = IMAGES["queue-agent"].tag(ROOT)
        for tag in ("0.0.9-abc", this):
            manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "name": tag}
            put = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))
            digests[tag] = put["image"]["imageId"]["imageDigest"]
        absent = {"repository": f"{OURS}/comfyui", "digest": DIGEST}
        config_file.run(own("-r", "one", text=with_images(server=absent, agent={"digest": digests["0.0.9-abc"]})))
        told = capsys.readouterr().out
        assert f"for one, this checkout's has tag {this}" in told
        assert f"config.yaml names {OURS}/comfyui@{DIGEST} for one" in told
        for agent in ({"repository": f"{OURS}/queue-agent", "digest": digests[this]}, AGENT):
            config_file.run(own("-r", "one", text=with_images(server=MINE, agent=agent)))
        assert capsys.readouterr().out == ""


class TestSnapshot:
    @pytest.mark.parametrize(
        ("agent", "asked"),
        [
            ({}, OURS + "/queue-agent:{tag}"),
            ({"tag": "7"}, f"{OURS}/queue-agent:7"),
            ({"digest": DIGEST}, f"{OURS}/queue-agent@{DIGEST}"),
            ({"repository": "mine"}, "mine:0.1.0"),
        ],
    )
    def test_it_is_compared_with_what_the_pods_will_ask_for(self, own, world, capsys, agent, asked):
        asked = asked.format(tag=IMAGES["queue-agent"].tag(ROOT))
        there = world.snapshot("another:1")
        snapshot.run(own(text=with_images(there, agent=agent)))
        told = f"does not hold {asked}: nodes of one pull it first"
        assert f"Snapshot {there} {told}" in capsys.readouterr().out
        snapshot.run(own(text=with_images(world.snapshot(asked), agent=agent)))
        assert told not in capsys.readouterr().out

    def test_it_is_made_again_only_when_it_is_gone(self, inside, deployment, world, monkeypatch):
        commands = []
        monkeypatch.setattr(
            "deploy.rollout.steps.snapshot.output_of",
            lambda command, **_: commands.append(command) or world.snapshot(*command[-1].split(",")),
        )
        opened = deployment("-s", "new")
        opened.images = {name: f"registry/{name}@{DIGEST}" for name in ("sdwebui", "queue-agent")}
        for _ in range(2):
            snapshot.run(opened)
        assert len(commands) == 1
        world.client("ec2").delete_snapshot(SnapshotId=opened.snapshot)
        snapshot.run(opened)
        assert len(commands) == 2

    def test_a_plan_says_where_it_gets_a_network_of_its_own(self, inside, deployment, world):
        assert "network of its own" not in snapshot.plan(deployment("-s", "new"))
        ec2 = world.client("ec2")
        for subnet in ec2.describe_subnets()["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        assert "network of its own" in snapshot.plan(deployment("-s", "new"))

    @pytest.fixture
    def offer(self, own, world, monkeypatch, capsys):
        """Runs the step twice with a snapshot of some images; gives its questions, its commands and what it told."""

        def offer(held, agrees):
            there, asked, commands = None if held is None else world.snapshot(*held), [], []
            monkeypatch.setattr("deploy.rollout.steps.snapshot.ask", lambda text: asked.append(text) or agrees)
            monkeypatch.setattr(
                "deploy.rollout.steps.snapshot.output_of",
                lambda command, **_: commands.append(command) or world.snapshot(*command[-1].split(",")),
            )
            for _ in range(2):
                snapshot.run(own(text=with_images(there, server=MINE, agent=AGENT)))
            return asked, commands, capsys.readouterr().out

        return offer

    @pytest.mark.parametrize(
        ("held", "agrees", "questions", "words"),
        [
            (["mine:6"], True, 1, "dataVolume.snapshotID: snap-"),  # the second run finds the new one
            (["mine:6"], False, 2, "snapshot.sh -r us-west-2 -a /aws/service/bottlerocket/"),
            *((held, True, 0, "") for held in (None, ["mine:7", "agent:7"], [])),
        ],
    )
    def test_one_in_the_place_of_an_old_one_is_offered_where_it_lacks_images(
        self, offer, held, agrees, questions, words
    ):
        asked, commands, told = offer(held, agrees)
        assert len(asked) == questions
        assert [command[-1] for command in commands] == ["agent:7,mine:7"] * (questions == 1)
        assert words in told
        assert ("does not hold" in told) == (questions > 0)

    def test_one_that_is_not_there_is_refused(self, deployment):
        with pytest.raises(DeployError, match="not there in this region"):
            snapshot.run(deployment("-s", "snap-0123"))


class TestRemovedRuntimes:
    @pytest.mark.parametrize("queue", ["old", "old-returned", "old-dead"])
    def test_a_runtime_is_not_removed_before_all_its_queues_are_empty(self, own, world, queue):
        opened = own()
        world.queue("sdoneksStack-old")
        assert removed_runtimes.run(opened) == "old will be removed"
        world.queue(f"sdoneksStack-{queue}", messages=1)
        with pytest.raises(DeployError, match="disabled: true"):
            removed_runtimes.run(opened)

    def test_runtimes_of_config_yaml_other_stacks_and_other_queues_do_not_count(self, own, world):
        opened = own()
        for name in ("sdoneksStack-one", "sdoneksStack-two-dead", "otherStack-old", "sdoneksStack-InterruptionQueue1A"):
            world.queue(name, messages=1)
        world.queue("sdoneksStack-two")
        assert removed_runtimes.run(opened) == "no runtime is removed"

    def test_a_new_config_yaml_never_removes_runtimes(self, deployment, world):
        opened = deployment()
        world.queue("sdoneksStack-old")
        with pytest.raises(DeployError, match="would remove old"):
            removed_runtimes.run(opened)
