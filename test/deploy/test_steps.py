import json

import pytest

from configuration.chart_values import NodeTemplate
from configuration.images import IMAGES
from configuration.platform import Cluster
from deploy.errors import DeployError
from deploy.rollout.config_yaml import ConfigYaml, Origin
from deploy.rollout.steps.config import CONFIG_FILE, REMOVED_RUNTIMES
from deploy.rollout.steps.images import IMAGES as BUILD
from deploy.rollout.steps.models import MODEL_BUCKET, MODELS
from deploy.rollout.steps.snapshot import SNAPSHOT
from deploy.rollout.summary import after_preparing
from deploy.scripts import ROOT

OURS = "123456789012.dkr.ecr.us-west-2.amazonaws.com/sd-on-eks"
DIGEST = "sha256:" + "b" * 64
STRANGER = "210987654321"
MINE = {"repository": "mine", "tag": "7"}
MODEL = "Stable-diffusion/v1-5-pruned-emaonly.safetensors"
OWN = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: one, type: sdwebui, modelFilename: one.safetensors}
  - {name: two, namespace: two, type: comfyui, disabled: true}
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


@pytest.fixture
def pushed(world):
    """Pushes an image into one of our repositories; gives its digest."""

    def push(name, tag):
        ecr, repository = world.client("ecr"), f"sd-on-eks/{name}"
        ecr.create_repository(repositoryName=repository)
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "name": tag}
        pushed = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))
        return pushed["image"]["imageId"]["imageDigest"]

    return push


class TestConfigYaml:
    def test_the_operators_file_for_this_deployment_is_kept_with_its_bucket(self, own, inside):
        opened = own()
        assert opened.bucket == "mine"
        assert CONFIG_FILE.run(opened) == "kept: it was edited"
        assert inside.config.read_text() == OWN

    def test_an_edited_file_of_the_scripts_own_is_kept(self, inside, world, deployment):
        world.bucket("mine")
        CONFIG_FILE.run(deployment("-b", "mine"))
        edited = inside.config.read_text().replace("maxReplicaCount: 5", "maxReplicaCount: 7")
        inside.config.write_text(edited)
        opened = deployment()
        CONFIG_FILE.run(opened)
        assert inside.config.read_text() == edited
        assert opened.config.models_runtime[0].extra_values.runtime.scaling.max_replica_count == 7

    def test_an_unedited_file_of_the_scripts_own_is_written_anew(self, inside, world, deployment):
        world.bucket("mine")
        CONFIG_FILE.run(deployment("-b", "mine"))
        CONFIG_FILE.run(deployment("-r", "other"))
        assert "name: other" in inside.config.read_text()
        assert list(inside.root.glob("*.bak")) == []

    def test_another_deployments_file_is_moved_aside_never_over_an_earlier_one(self, own, inside, capsys):
        for number in (1, 2):
            CONFIG_FILE.run(own("-n", "other"))
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
        CONFIG_FILE.run(own("-s", world.snapshot(), "-r", "absent"))
        told = capsys.readouterr().out
        assert "-r absent has no effect: config.yaml has one, two" in told
        assert "has no effect on one" in told

    def test_a_name_that_no_runtime_may_have_is_refused_before_anything(self, deployment):
        with pytest.raises(DeployError, match=r"modelsRuntime\[0\].name"):
            deployment("-r", "Not_A_Name")

    def test_what_is_written_is_known_as_written_until_a_letter_changes(self, tmp_path):
        file = ConfigYaml(tmp_path / "config.yaml")
        assert file.origin is Origin.ABSENT
        file.write({"stackName": "a"})
        assert file.origin is Origin.GENERATED
        file.path.write_text(file.path.read_text() + "\n")
        assert file.origin is Origin.OPERATOR


class TestBucketAndModels:
    def test_a_named_bucket_must_exist(self, deployment):
        with pytest.raises(DeployError, match="no bucket absent"):
            MODEL_BUCKET.run(deployment("-b", "absent"))

    def test_a_named_bucket_is_left_as_it_is(self, deployment, world):
        MODEL_BUCKET.run(deployment("-b", world.bucket("mine")))
        assert world.client("s3").get_bucket_versioning(Bucket="mine").get("Status") is None

    @pytest.fixture
    def strangers(self, world):
        """A bucket of another account that everybody may read."""
        name = world.bucket("sd-on-eks-models")
        world.strangers[name] = STRANGER
        return name

    def test_a_bucket_of_a_stranger_is_refused_though_it_can_be_read(self, deployment, strangers):
        with pytest.raises(DeployError, match="belongs to somebody else"):
            MODEL_BUCKET.run(deployment("-b", strangers))

    def test_a_config_yaml_that_names_a_strangers_bucket_is_put_aside(self, own, strangers, inside, capsys):
        opened = own(text=OWN.replace(":mine", f":{strangers}"))
        assert opened.bucket == "sdoneks-models-123456789012-us-west-2"
        assert "its model bucket is not this account's" in CONFIG_FILE.plan(opened)
        CONFIG_FILE.run(opened)
        assert "config.yaml.1.bak" in capsys.readouterr().out

    def test_a_bucket_of_an_account_that_config_yaml_names_is_used(self, own, strangers):
        opened = own(text=OWN.replace(":mine", f":{strangers}") + f"bucketAccounts: ['{STRANGER}']\n")
        assert opened.bucket == strangers
        assert MODEL_BUCKET.run(opened) == f"{strangers} is there"

    def test_a_named_bucket_in_another_region_is_refused(self, deployment, world):
        with pytest.raises(DeployError, match="is in eu-west-1"):
            MODEL_BUCKET.run(deployment("-b", world.bucket("mine", "eu-west-1")))

    def test_a_model_that_config_yaml_names_must_be_under_stable_diffusion(self, own, world):
        opened = own()
        world.model("mine", "one.safetensors")
        with pytest.raises(DeployError, match=r"deploy/upload-model.sh one.safetensors Stable-diffusion mine"):
            MODELS.run(opened)
        world.model("mine", "Stable-diffusion/one.safetensors")
        assert MODELS.run(opened) == "one.safetensors in Stable-diffusion/"

    def test_a_default_model_that_lies_there_already_is_verified_and_not_downloaded(self, inside, deployment, world):
        opened = deployment("-b", world.bucket("mine"))
        world.model("mine", MODEL, body=b"not the published one")
        with pytest.raises(DeployError, match="with another content"):
            MODELS.run(opened)

    FLUX = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::mine
modelsRuntime:
  - {name: one, namespace: one, type: flux, model: MODEL, extraValues: {runtime: {inferenceApi: {extraEnv: ENV}}}}
"""

    def flux(self, model, env="[]"):
        return self.FLUX.replace("MODEL", model).replace("ENV", env)

    def test_a_model_that_lies_in_the_bucket_is_taken_from_there(self, own, world):
        opened = own(text=self.flux("{profile: flux-dev, source: flux/dev}"))
        world.model("mine", "flux/dev/model_index.json")
        assert MODELS.run(opened) == "flux/dev in the bucket"

    def test_a_revision_is_the_hubs_whatever_the_bucket_has(self, own, world):
        opened = own(text=self.flux("{source: acme/model, revision: v2}"))
        world.model("mine", "acme/model/model_index.json")
        assert MODELS.run(opened) == "one fetches acme/model from the Hugging Face hub"
        with pytest.raises(DeployError, match="asks for revision v2 of mine, and mine is no id"):
            MODELS.run(own(text=self.flux("{source: mine, revision: v2}")))

    def test_a_free_model_may_come_from_the_hub_at_each_start(self, own):
        opened = own(text=self.flux("{profile: qwen-image-edit}"))
        assert MODELS.plan(opened) == "one fetches Qwen/Qwen-Image-Edit-2509 from the Hugging Face hub"

    @pytest.mark.parametrize(
        "env", ["{HF_TOKEN: x}", "[{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}]"]
    )
    def test_a_gated_model_needs_a_token_or_a_copy_in_the_bucket(self, own, env):
        with pytest.raises(DeployError, match="only for a token") as failure:
            MODELS.run(own(text=self.flux("{profile: flux-dev}")))
        assert "upload-model.sh DOWNLOADED black-forest-labs/FLUX.1-dev mine" in str(failure.value.remedy)
        assert "Hugging Face hub" in MODELS.run(own(text=self.flux("{profile: flux-dev}", env)))

    def test_a_folder_that_is_neither_in_the_bucket_nor_on_the_hub_is_named(self, own):
        with pytest.raises(DeployError, match="my-model/ of one is not in bucket mine"):
            MODELS.run(own(text=self.flux("{source: my-model}")))

    @pytest.fixture
    def china(self, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.context.offered", lambda _, types: list(types))
        return lambda *arguments: deployment("-R", "cn-northwest-1", *arguments)

    def test_china_stops_before_anything_without_a_bucket(self, china):
        with pytest.raises(DeployError, match="Hugging Face cannot be reached"):
            china()

    def test_china_stops_where_the_bucket_lacks_the_model(self, china, world):
        opened = china("-b", world.bucket("mine", "cn-northwest-1"))
        with pytest.raises(DeployError, match=r"upload-model.sh v1-5-pruned-emaonly.safetensors Stable-diffusion mine"):
            MODELS.plan(opened)

    def test_china_gets_its_own_arns_and_instances(self, china, world):
        config = china("-b", world.bucket("mine", "cn-northwest-1")).config
        assert config.model_bucket_arn == "arn:aws-cn:s3:::mine"
        types = config.models_runtime[0].extra_values.karpenter.provisioner.instance_type
        assert types == ["g4dn.xlarge", "g4dn.2xlarge"]


class TestImagesAndSnapshot:
    def test_a_build_that_does_not_say_what_it_built_is_refused(self, inside, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.steps.images.output_of", lambda *_, **__: "done")
        with pytest.raises(DeployError, match="did not say"):
            BUILD.run(deployment())

    def test_a_build_that_lacks_an_image_is_refused(self, inside, deployment, monkeypatch):
        monkeypatch.setattr("deploy.rollout.steps.images.output_of", lambda *_, **__: "{}")
        with pytest.raises(DeployError, match="queue-agent, sdwebui"):
            BUILD.run(deployment())

    @pytest.fixture
    def built(self, monkeypatch):
        """Builds whatever the step asks for; gives the names."""
        names = []

        def output_of(command, **_):
            names.extend(command[4 : command.index("-n")])
            return json.dumps({name: {"repository": f"{OURS}/{name}", "digest": DIGEST} for name in names})

        monkeypatch.setattr("deploy.rollout.steps.images.output_of", output_of)
        return names

    def test_images_that_a_kept_config_yaml_does_not_name_are_built_those_of_disabled_runtimes_too(self, own, built):
        BUILD.run(own())
        assert built == ["comfyui", "queue-agent", "sdwebui"]

    def test_an_image_that_a_kept_config_yaml_names_is_not_built(self, own, built):
        opened = own(text=_with_images(server=MINE))
        assert BUILD.plan(opened) == "build what the registry lacks of queue-agent"
        BUILD.run(opened)
        assert built == ["queue-agent"]

    @pytest.mark.parametrize("agent", [{"repository": "mine"}, {"tag": "7"}, {"digest": DIGEST}])
    def test_nothing_is_built_where_a_kept_config_yaml_names_every_image(self, own, built, agent):
        opened = own(text=_with_images(server=MINE, agent=agent))
        assert BUILD.run(opened) == BUILD.plan(opened) == "config.yaml names them"
        assert built == []

    def test_nothing_is_built_for_a_foreign_chart(self, own, built):
        foreign = "disabled: true, chartRepository: oci://registry.example/mine"
        BUILD.run(own(text=OWN.replace("disabled: true", foreign)))
        assert built == ["queue-agent", "sdwebui"]

    def test_images_that_were_built_for_a_kept_config_yaml_need_no_word(self, own, built, capsys):
        opened = own("-r", "one")
        BUILD.run(opened)
        CONFIG_FILE.run(opened)
        assert capsys.readouterr().out == ""

    def test_a_digest_that_another_checkout_has_built_is_told(self, own, pushed, capsys):
        CONFIG_FILE.run(own(text=_with_images(agent={"digest": pushed("queue-agent", "0.0.9-abc")})))
        told = capsys.readouterr().out
        assert "for one, this checkout's has tag " + IMAGES["queue-agent"].tag(ROOT) in told
        assert "comfyui" not in told

    def test_a_digest_that_the_registry_does_not_have_is_told(self, own, capsys):
        CONFIG_FILE.run(own(text=_with_images(server={"repository": f"{OURS}/comfyui", "digest": DIGEST})))
        assert f"config.yaml names {OURS}/comfyui@{DIGEST} for one" in capsys.readouterr().out

    def test_a_digest_that_this_checkout_has_built_needs_no_word(self, own, pushed, capsys):
        digest = pushed("queue-agent", IMAGES["queue-agent"].tag(ROOT))
        agent = {"repository": f"{OURS}/queue-agent", "digest": digest}
        CONFIG_FILE.run(own("-r", "one", text=_with_images(agent=agent)))
        assert capsys.readouterr().out == ""

    def test_images_of_the_operators_own_need_no_word(self, own, capsys):
        CONFIG_FILE.run(own("-r", "one", text=_with_images(server=MINE, agent={"repository": "mine"})))
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("agent", "asked"),
        [
            ({}, OURS + "/queue-agent:{tag}"),
            ({"tag": "7"}, f"{OURS}/queue-agent:7"),
            ({"digest": DIGEST}, f"{OURS}/queue-agent@{DIGEST}"),
            ({"repository": "mine"}, "mine:0.1.0"),
        ],
    )
    def test_a_snapshot_is_compared_with_what_the_pods_will_ask_for(self, own, world, capsys, agent, asked):
        asked = asked.format(tag=IMAGES["queue-agent"].tag(ROOT))
        snapshot = _tagged(world, {"image-1": "another:1"})
        SNAPSHOT.run(own(text=_with_images(snapshot, agent=agent)))
        told = f"does not hold {asked}: nodes of one pull it first"
        assert f"Snapshot {snapshot} {told}" in capsys.readouterr().out
        snapshot = _tagged(world, {"image-1": asked})
        SNAPSHOT.run(own(text=_with_images(snapshot, agent=agent)))
        assert told not in capsys.readouterr().out

    def test_a_snapshot_is_made_by_the_bottlerocket_of_the_nodes(self, inside, deployment, world, monkeypatch):
        commands = []
        monkeypatch.setattr(
            "deploy.rollout.steps.snapshot.output_of", lambda command, **_: commands.append(command) or world.snapshot()
        )
        opened = deployment()
        opened.images = {name: f"registry/{name}@{DIGEST}" for name in ("sdwebui", "queue-agent")}
        SNAPSHOT.run(opened)
        [[_, *options]] = commands
        version, release = Cluster().version, NodeTemplate().ami_version
        assert f"-a /aws/service/bottlerocket/aws-k8s-{version}/x86_64/{release}/image_id -q" in " ".join(options)

    def test_a_plan_says_where_a_snapshot_gets_a_network_of_its_own(self, inside, deployment, world):
        assert "network of its own" not in SNAPSHOT.plan(deployment())
        ec2 = world.client("ec2")
        for subnet in ec2.describe_subnets()["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        assert "network of its own" in SNAPSHOT.plan(deployment())

    @pytest.fixture
    def makes(self, world, monkeypatch):
        """Answers the offer of a snapshot; gives the images of those that are made, and the questions."""

        def answer(agrees):
            made, asked = [], []
            monkeypatch.setattr("deploy.rollout.steps.snapshot.ask", lambda text: asked.append(text) or agrees)
            monkeypatch.setattr(
                "deploy.rollout.steps.snapshot.output_of",
                lambda command, **_: made.append(command[-1].split(",")) or world.snapshot(),
            )
            return made, asked

        return answer

    def test_a_snapshot_in_the_place_of_an_old_one_is_offered_and_its_line_is_printed(self, own, world, capsys, makes):
        made, asked = makes(agrees=True)
        snapshot = _tagged(world, {"image-1": "mine:6"})
        for _ in range(2):
            SNAPSHOT.run(own(text=_with_images(snapshot, server=MINE, agent={"repository": "agent", "tag": "7"})))
            assert "dataVolume.snapshotID: snap-" in capsys.readouterr().out
        assert made == [["agent:7", "mine:7"]]  # the second run remembers it
        assert len(asked) == 1

    def test_without_consent_the_command_is_printed(self, own, world, capsys, makes):
        made, _ = makes(agrees=False)
        SNAPSHOT.run(own(text=_with_images(_tagged(world, {"image-1": "mine:6"}), server=MINE)))
        told = capsys.readouterr().out
        assert "snapshot.sh -r us-west-2 -a /aws/service/bottlerocket/" in told
        assert "mine:7" in told
        assert made == []

    def test_nothing_is_offered_where_the_snapshot_holds_all_or_none_is_wanted(self, own, world, makes):
        _, asked = makes(agrees=True)
        SNAPSHOT.run(own(text=_with_images(server=MINE)))
        agent = {"repository": "agent", "tag": "7"}
        held = _tagged(world, {"image-1": "mine:7", "image-2": "agent:7"})
        SNAPSHOT.run(own(text=_with_images(held, server=MINE, agent=agent)))
        assert asked == []

    def test_a_snapshot_that_is_not_there_is_refused(self, deployment):
        with pytest.raises(DeployError, match="not there in this region"):
            SNAPSHOT.run(deployment("-s", "snap-0123"))

    @pytest.mark.parametrize("tags", [{"image-1": "mine:7", "image-2": "agent:7"}, {"Name": "by hand"}])
    def test_a_snapshot_that_holds_the_images_or_does_not_say_is_taken(self, own, world, capsys, tags):
        agent = {"repository": "agent", "tag": "7"}
        SNAPSHOT.run(own(text=_with_images(_tagged(world, tags), server=MINE, agent=agent)))
        assert "does not hold" not in capsys.readouterr().out

    def test_an_image_that_the_snapshot_lacks_is_told(self, own, world, capsys):
        snapshot = _tagged(world, {"image-1": "mine:6", "image-2": "agent:7"})
        SNAPSHOT.run(own(text=_with_images(snapshot, server=MINE)))
        assert f"Snapshot {snapshot} does not hold mine:7: nodes of one pull it first" in capsys.readouterr().out

    def test_a_remembered_snapshot_that_is_gone_is_made_again(self, inside, deployment, world, monkeypatch):
        made = []
        monkeypatch.setattr(
            "deploy.rollout.steps.snapshot.output_of", lambda *_, **__: made.append(world.snapshot()) or made[-1]
        )
        opened = deployment()
        opened.images = {name: f"registry/{name}@{DIGEST}" for name in ("sdwebui", "queue-agent")}
        SNAPSHOT.run(opened)
        SNAPSHOT.run(opened)
        assert len(made) == 1
        world.client("ec2").delete_snapshot(SnapshotId=made[0])
        SNAPSHOT.run(opened)
        assert len(made) == 2


class TestRemovals:
    @pytest.mark.parametrize("queue", ["old", "old-returned", "old-dead"])
    def test_a_runtime_whose_queues_hold_tasks_is_not_removed(self, own, world, queue):
        opened = own()
        for name in {"old", queue}:
            world.queue(f"sdoneksStack-{name}", messages=name == queue)
        with pytest.raises(DeployError, match="disabled: true"):
            REMOVED_RUNTIMES.run(opened)

    def test_a_runtime_with_empty_queues_is_removed(self, own, world):
        opened = own()
        world.queue("sdoneksStack-old")
        assert REMOVED_RUNTIMES.run(opened) == "old will be removed"

    def test_runtimes_of_config_yaml_other_stacks_and_other_queues_do_not_count(self, own, world):
        opened = own()
        for name in ("sdoneksStack-one", "sdoneksStack-two-dead", "otherStack-old", "sdoneksStack-InterruptionQueue1A"):
            world.queue(name, messages=1)
        world.queue("sdoneksStack-two")
        assert REMOVED_RUNTIMES.run(opened) == "no runtime is removed"

    def test_a_new_config_yaml_never_removes_runtimes(self, deployment, world):
        opened = deployment()
        world.queue("sdoneksStack-old")
        with pytest.raises(DeployError, match="would remove old"):
            REMOVED_RUNTIMES.run(opened)


def _tagged(world, tags):
    snapshot = world.snapshot()
    tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    world.client("ec2").create_tags(Resources=[snapshot], Tags=tags)
    return snapshot


def _with_images(snapshot=None, *, server=None, agent=None):
    """A file whose one runtime has these images, and starts from a snapshot."""
    values = {
        "karpenter": {"nodeTemplate": {"dataVolume": {"snapshotID": snapshot}}},
        "runtime": {"inferenceApi": {"image": server or {}}, "queueAgent": {"image": agent or {}}},
    }
    runtime = {"name": "one", "namespace": "one", "type": "comfyui", "extraValues": values}
    return json.dumps({"stackName": "sdoneks", "modelBucketArn": "arn:aws:s3:::mine", "modelsRuntime": [runtime]})
