"""What a runtime's nodes must have: GPUs that its model fits, room for its pods, and volumes that fill in time."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from configuration.chart_values import ChartValues, Provisioner
from configuration.config import parse_config
from configuration.gpus import GPUS, instances_that_fit
from configuration.quantities import amount
from configuration.volume_filling import REGION_MIB_S, Filling, open_rate
from configuration.warnings import warnings
from queue_agent.ports import Capacity
from runtimes.catalog import RuntimeCatalog
from runtimes.flux.families import TASK_TYPES
from runtimes.flux.profiles import PROFILES
from test.unit.configuration.configs import MINIMAL

FOREIGN = {"type": "comfyui", "chartRepository": "oci://r/c", "chartVersion": "1"}


def config(*runtimes):
    rows = [{"name": f"r{number}", "namespace": f"r{number}", **one} for number, one in enumerate(runtimes)]
    return parse_config({**MINIMAL, "modelsRuntime": rows})


def warned(*runtimes):
    """The last key and the words of each warning."""
    return [(found.pointer.rpartition(".")[2], found.detail) for found in warnings(config(*runtimes))]


def flux(model, *instance_types, karpenter=None, **runtime):
    nodes = karpenter or {"provisioner": {"instanceType": list(instance_types or ("g6e.xlarge",))}}
    return {"type": "flux", "model": model, "extraValues": {"karpenter": nodes, "runtime": runtime}}


class TestGpus:
    SMALL = "has g5.xlarge (24 GB), too small for flux-schnell, which takes about "
    NO_BFLOAT16 = "has g4dn.xlarge, whose GPU does not compute in bfloat16; choose others"

    @pytest.mark.parametrize(
        ("model", "types", "words"),
        [
            ({"profile": "flux-schnell"}, ["g6e.xlarge", "g5.xlarge"], SMALL),
            ({"profile": "sdxl"}, ["g4dn.xlarge"], f"{NO_BFLOAT16}, or set model.dtype float16"),
            (
                *({"profile": "flux-schnell", "dtype": "float32"}, ["g6e.xlarge", "p4de.24xlarge"]),
                "has g6e.xlarge (48 GB), too small for flux-schnell, which takes about 71 GB of GPU memory; "
                "choose p4de, p5, p5e, p5en, or set model.dtype bfloat16, ",
            ),
        ],
    )
    def test_a_gpu_that_a_model_does_not_fit_is_warned_of_with_what_to_do(self, model, types, words):
        ((key, said),) = warned(flux(model, *types))
        assert (key, said.startswith(words)) == ("instanceType", True)

    @pytest.mark.parametrize(
        "runtime",
        [
            flux({"profile": "flux-schnell", "quantization": "4bit"}, "g5.xlarge"),
            flux({"profile": "sdxl", "dtype": "float16"}, "g4dn.xlarge"),
            flux({"profile": "qwen-image-edit"}, "g9.xlarge"),  # not in the table
            flux({"profile": "sdxl"}, "g6e.12xlarge"),  # nor of the batch, which the queue length holds
            flux(
                {"profile": "flux-dev"},
                karpenter={"enabled": False, "provisioner": {"instanceType": ["g4dn.xlarge"]}},
            ),
        ],
    )
    def test_nothing_is_said_of_gpus_that_fit_or_that_are_not_known(self, runtime):
        assert warned(runtime) == []

    def test_every_model_that_runs_fits_some_instance_and_fewer_bits_never_need_a_larger_one(self):
        for profile in (one for one in PROFILES.values() if one.refusal is None):
            whole = instances_that_fit(profile, "none", "none")
            assert whole
            assert instances_that_fit(profile, "none", "none", "float32")
            assert set(whole) <= set(instances_that_fit(profile, "4bit", "none")) <= GPUS.keys()
            assert profile.weights_gb("4bit", "float32") == profile.weights_gb("4bit", "bfloat16")
        assert "g4dn" not in instances_that_fit(PROFILES["sdxl"], "4bit", "sequential")


def test_the_card_of_a_known_model_travels_to_the_door_as_json():
    loras = [{"name": "sketch", "source": "loras/sketch.safetensors", "weight": 0.8}]
    catalog = config(flux({"profile": "flux-schnell", "loras": loras}), flux({"source": "my-model"})).catalog
    known, unknown = RuntimeCatalog.from_json(catalog.to_json())
    assert (known.card.steps, known.card.guidance, known.card.max_sequence_length) == (4, 0, 256)
    assert known.card == catalog["r0"].card
    assert known.task_types == ("text-to-image", "image-to-image", "inpainting")
    assert (unknown.card, unknown.task_types) == (None, TASK_TYPES)


class TestScaling:
    @pytest.mark.parametrize(("gpus", "batch"), [(1, 8), (4, 4), ("2", 4)])
    def test_a_pod_that_holds_more_than_its_queue_length_is_warned_of_with_what_it_holds(self, gpus, batch):
        held = Capacity(devices=int(gpus), batch=batch, ahead=True).places

        def runtime(**scaling):
            server = {"resources": {"limits": {"nvidia.com/gpu": gpus}}}
            return flux({"profile": "sdxl", "maxBatch": batch}, inferenceApi=server, scaling=scaling)

        ((key, said),) = warned(runtime())
        assert key == "queueLength"
        assert f"holds up to {held} tasks" in said
        for fine in ({"queueLength": held}, {"enabled": False}, {"scaleOnInFlight": False}):
            assert warned(runtime(**fine)) == []


class TestVolumes:
    """How fast nodes fill their volumes from a snapshot, so that none is refused when all start at the same time."""

    @staticmethod
    def runtime(most, rate=None, *, snapshot="snap-0123456789abcdef0", karpenter=True, scaling=True, warm=0):
        volume = {"snapshotID": snapshot, "volumeInitializationRate": rate}
        values = {
            "karpenter": {"enabled": karpenter, "nodeTemplate": {"dataVolume": volume}},
            "runtime": {
                "replicas": 3,
                "scaling": {"enabled": scaling, "maxReplicaCount": most, "warm": {"nodes": warm}},
            },
        }
        return {"type": "comfyui", "extraValues": values}

    @pytest.mark.parametrize(("most", "rate"), [(1, 300), (17, 294), (50, 100), (51, 0)])
    def test_all_nodes_can_start_at_the_same_time_at_the_fastest_rate_that_allows_it(self, most, rate):
        assert open_rate(config(self.runtime(most)).fillings.values()) == rate
        assert most * rate <= REGION_MIB_S

    @pytest.mark.parametrize(
        ("runtimes", "rate"),
        [
            ([(10,), (15,)], 200),
            ([(10, 300), (10,)], 200),
            ([{"most": 15, "warm": 5}], 250),
            ([(20,), {"most": 100, "snapshot": ""}], 250),
            ([(20,), {"most": 100, "karpenter": False}], 250),
            ([{"most": 100, "scaling": False}], 300),
        ],
    )
    def test_runtimes_that_fill_volumes_share_what_the_region_has(self, runtimes, rate):
        rows = [self.runtime(**one) if isinstance(one, dict) else self.runtime(*one) for one in runtimes]
        assert open_rate(config(*rows, FOREIGN).fillings.values()) == rate
        assert not [said for _, said in warned(*rows) if "EBS" in said]

    def test_rates_that_ask_for_more_than_there_is_are_warned_of_where_they_stand(self):
        found = config(self.runtime(10, 300), self.runtime(10, 300), self.runtime(5), self.runtime(50, 0))
        at = "extraValues.karpenter.nodeTemplate.dataVolume.volumeInitializationRate"
        assert [one.pointer for one in warnings(found) if "EBS" in one.detail] == [
            f"modelsRuntime[0].{at}",
            f"modelsRuntime[1].{at}",
        ]
        assert open_rate(found.fillings.values()) == open_rate([Filling(nodes=100, rate=300)]) == 0
        assert open_rate([]) == 300


class TestResourceLimits:
    """Limits of a runtime's nodes against what its pods ask for."""

    @staticmethod
    def values(limits, *, enabled=True, pods=20, **requests):
        return {
            "karpenter": {"enabled": enabled, "provisioner": {"resourceLimits": limits}},
            "runtime": {"scaling": {"maxReplicaCount": pods}, "inferenceApi": {"resources": {"requests": requests}}},
        }

    @pytest.mark.parametrize(
        ("limit", "requests"),
        [
            ({"nvidia.com/gpu": 19}, {"nvidia.com/gpu": 1}),
            ({"cpu": "39500m"}, {"cpu": 2}),
            ({"memory": "0.1Ti", "cpu": 1000}, {"memory": "6144Mi"}),
        ],
    )
    def test_a_limit_below_what_all_pods_ask_for_is_rejected_with_both(self, limit, requests):
        with pytest.raises(ValidationError) as rejected:
            ChartValues.model_validate(self.values(limit, **requests))
        (resource, given), (asked,) = next(iter(limit.items())), requests.values()
        assert f"{resource} is {given}, too little for 20 pods of {asked} each" in str(rejected.value)

    @pytest.mark.parametrize(
        ("limits", "options"),
        [
            ({"cpu": 40, "memory": "120Gi"}, {"cpu": "2000m", "memory": "6Gi"}),
            ({"nvidia.com/gpu": 8}, {"nvidia.com/gpu": 1, "pods": 8}),
            ({"nvidia.com/gpu": 8}, {"nvidia.com/gpu": 1, "enabled": False}),
            ({"nvidia.com/gpu": 8}, {"cpu": 1}),
        ],
    )
    def test_other_limits_are_taken(self, limits, options):
        ChartValues.model_validate(self.values(limits, **options))

    @pytest.mark.parametrize(
        ("quantity", "number"),
        [
            *((2, "2"), (0.5, "0.5"), ("1500m", "1.5"), ("1k", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736")),
            *((text, None) for text in ("", "Gi", "-1", "1 Gi", "1gi", "1e", "0x1")),
        ],
    )
    def test_quantities_are_read_as_kubernetes_does(self, quantity, number):
        assert amount(quantity) == (None if number is None else Decimal(number))


def test_only_types_that_a_runtime_allows_can_be_preferred():
    with pytest.raises(ValidationError, match=r"preferredInstanceType must be some of instanceType, not g6\.xlarge"):
        Provisioner.model_validate({"instanceType": ["g5.xlarge"], "preferredInstanceType": ["g5.xlarge", "g6.xlarge"]})
