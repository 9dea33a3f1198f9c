"""``sd plan``, from the command line to what it prints."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import yaml

from planning.command import main

POOL = {"extraValues": {"runtime": {"scaling": {"maxReplicaCount": 20}}}}
CONFIG = {
    "stackName": "sdoneks",
    "modelBucketArn": "arn:aws:s3:::models",
    "modelsRuntime": [
        {"name": "sd", "type": "sdwebui", "dynamicModel": True, **POOL},
        {"name": "comfy", "type": "comfyui"},
        {"name": "bed", "type": "bedrock", "model": {"id": "stability.sd3-5-large-v1:0", "region": "us-west-2"}},
        {"name": "own", "type": "sdwebui", "dynamicModel": True, "chartRepository": "oci://charts.example/mine"},
    ],
}
BURST = "\n".join(["time,seconds,runtime", *(f"{number % 7},20,sd" for number in range(60))])


@pytest.fixture
def plan(tmp_path, capsys):
    """Runs the command in a folder with a configuration and a CSV file; its exit code and what it prints."""

    def run(*arguments, config=CONFIG):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / "jobs.csv").write_text(BURST)
        paths = (f"--config={tmp_path / 'config.yaml'}", f"--svg={tmp_path / 'out' / 'plan.svg'}")
        code = main([*paths, *(str(tmp_path / one) if one.endswith(".csv") else one for one in arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def facts(plan, *arguments, config=CONFIG):
    code, out, err = plan("--json", "--no-advice", *arguments, config=config)
    assert code == 0, err
    return json.loads(out)


def test_people_read_waits_hours_the_bill_by_line_a_comparison_and_what_to_change(plan, tmp_path):
    code, out, err = plan("jobs.csv")
    assert code == 0
    for words in (
        "sd: 60 jobs a day of 20 s on average (jobs.csv)",
        "half of the jobs at most ",
        "GPU hours",
        "  nodes      ",
        "  EKS, cluster, hour ",
        " pictures: $",
        "A hosted API at $0.003 a picture would charge $5.40",
        "What to change, each for itself",
        "profile lean instead of resilient",
        "saves $",
    ):
        assert words in out
    picture = ElementTree.parse(tmp_path / "out" / "plan.svg")
    assert "jobs waiting" in "".join(picture.getroot().itertext())
    assert f"As a picture: {tmp_path / 'out' / 'plan.svg'}" in err


def test_seconds_that_nobody_has_given_are_called_assumed(plan):
    assumed = "; seconds assumed, give yours with --seconds)"
    assert f"(--per-day 50{assumed}" in plan("--per-day=sd:50", "--no-advice")[1]
    assert assumed not in plan("--per-day=sd:50", "--seconds=sd:2", "--no-advice")[1]
    assert assumed not in plan("jobs.csv", "--no-advice")[1]


def test_hours_and_dollars_are_those_of_thirty_such_days(plan):
    found = facts(plan, "jobs.csv")
    [runtime], month = found["runtimes"], found["month"]
    assert (runtime["jobs"], runtime["busy_h"]) == (60, pytest.approx(60 * 20 / 3600))
    paid_h = runtime["busy_h"] + runtime["boot_h"] + runtime["idle_h"]
    bought = [line for line in month["lines"] if line["how"] == "hours of GPU nodes" and line["service"] == "EC2"]
    assert [line["quantity"] for line in bought] == [pytest.approx(30 * paid_h)]
    assert month["pictures"] == 1800
    assert month["usd"] == pytest.approx(sum(line["usd"] for line in month["lines"]))
    assert month["usd_per_picture"] == pytest.approx(month["usd"] / 1800, rel=1e-4)
    assert month["idle_usd"] < month["usd"]


def test_a_node_with_several_gpus_is_paid_once(plan):
    four = {"limits": {"nvidia.com/gpu": 4}, "requests": {"nvidia.com/gpu": 4}}
    values = {"extraValues": {"runtime": {"inferenceApi": {"resources": four}}}}
    found = facts(plan, "jobs.csv", config={**CONFIG, "modelsRuntime": [{**CONFIG["modelsRuntime"][0], **values}]})
    [runtime] = found["runtimes"]
    assert runtime["busy_h"] + runtime["boot_h"] + runtime["idle_h"] == pytest.approx(4 * runtime["node_h"])
    [bought] = [
        line for line in found["month"]["lines"] if line["how"] == "hours of GPU nodes" and line["service"] == "EC2"
    ]
    assert bought["quantity"] == pytest.approx(30 * runtime["node_h"])


def test_pods_of_a_fixed_number_are_paid_all_day(plan):
    fixed = {"extraValues": {"runtime": {"replicas": 2, "scaling": {"enabled": False}}}}
    config = {**CONFIG, "modelsRuntime": [{**CONFIG["modelsRuntime"][0], **fixed}]}
    [runtime] = facts(plan, "jobs.csv", config=config)["runtimes"]
    assert (runtime["node_starts"], runtime["node_h"]) == (2, pytest.approx(48, abs=0.5))
    fixed["extraValues"]["runtime"]["replicas"] = 0
    assert plan("jobs.csv", config=config)[2] == "sd has no pods: its scaling is off, and replicas is 0\n"


def test_a_reader_that_has_enough_ends_it_without_a_trace(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    reading, writing = os.pipe()
    os.close(reading)
    options = ("--per-day=sd:50", "--no-advice", f"--config={tmp_path / 'config.yaml'}", f"--svg={tmp_path / 'a.svg'}")
    ended = subprocess.run(
        [sys.executable, "-m", "planning", *options], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert (tmp_path / "a.svg").exists()


def test_what_is_seldom_meant_is_said_since_it_is_planned_all_the_same(plan):
    flux = {"name": "flux", "type": "flux", "model": {"profile": "flux-schnell"}}
    code, out, err = plan("--per-day=10", "--no-advice", config={**CONFIG, "modelsRuntime": [flux]})
    assert (code, "flux: " in out) == (0, True)
    assert "modelsRuntime[0].extraValues.karpenter.provisioner.instanceType has g5.xlarge (24 GB)" in err


def test_hours_outside_the_schedule_of_warm_nodes_are_neither_shown_nor_paid(plan):
    hours = [{"start": "0 9 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Asia/Tokyo"}]
    warm = {"extraValues": {"runtime": {"scaling": {"warm": {"nodes": 1, "schedule": hours}}}}}
    config = {**CONFIG, "modelsRuntime": [{**CONFIG["modelsRuntime"][0], **warm}]}
    found = facts(plan, "jobs.csv", config=config)
    [runtime], month = found["runtimes"], found["month"]
    paid_h = runtime["busy_h"] + runtime["boot_h"] + runtime["idle_h"]
    assert paid_h == pytest.approx(9 * 5 / 7, abs=1.5)
    bought = [line for line in month["lines"] if line["how"] == "hours of GPU nodes" and line["service"] == "EC2"]
    assert [line["quantity"] for line in bought] == [pytest.approx(30 * paid_h)]
    said = "Warm nodes are simulated at all hours. Outside their schedule they cost nothing, and jobs wait longer."
    assert said in plan("jobs.csv", "--no-advice", config=config)[1]
    assert said not in plan("jobs.csv", "--no-advice")[1]


def test_from_the_break_even_on_the_hosted_api_takes_more(plan):
    month = facts(plan, "jobs.csv", "--hosted-usd=1")["month"]
    each = (month["usd"] - month["idle_usd"]) / month["pictures"]
    a_month = 30 * month["break_even_per_day"]
    assert a_month * 1 == pytest.approx(month["idle_usd"] + a_month * each, rel=1e-3)
    assert facts(plan, "jobs.csv", "--hosted-usd=0.0000001")["month"]["break_even_per_day"] is None


def test_each_runtime_has_its_own_load_and_those_without_one_cost_what_they_keep(plan):
    config = {**CONFIG, "modelsRuntime": [CONFIG["modelsRuntime"][0], {"name": "comfy", "type": "comfyui"}]}
    loads = ("--per-day=sd:2000", "--rate=comfy:Mon 08:00=60,Mon 12:00=0", "--seconds=comfy:3:50%,9:50%")
    first, second = facts(plan, *loads, config=config)["runtimes"]
    assert (first["runtime"], second["runtime"]) == ("sd", "comfy")
    assert first["jobs"] == pytest.approx(2000, rel=0.1)
    assert second["period_s"] == 7 * 86400
    assert second["work_h"] * 3600 / second["jobs"] == pytest.approx(6, rel=0.1)
    kept = {"extraValues": {"runtime": {"scaling": {"minReplicaCount": 1}}}}
    config["modelsRuntime"][1].update(kept)
    keeping = facts(plan, "jobs.csv", config=config)["month"]
    assert sum(line["quantity"] for line in keeping["lines"] if line["how"] == "hours of GPU nodes") > 720


def test_equal_seeds_give_equal_plans_and_others_do_not(plan):
    loads = [facts(plan, "--rate=sd:00:00=100,02:00=0", f"--seed={seed}")["runtimes"] for seed in (1, 1, 2)]
    waits = [runtime["wait_p95_s"] for [runtime] in loads]
    assert waits[0] == waits[1] != waits[2]


def test_nodes_that_spot_takes_back_start_again(plan):
    calm, rough = (
        facts(plan, "--rate=sd:00:00=400,03:00=0", "--seconds=sd:30", f"--spot-interruptions={share}")["runtimes"][0]
        for share in ("0%", "90%")
    )
    assert (calm["nodes_lost"], calm["interrupted"]) == (0, 0)
    assert rough["nodes_lost"] > 0
    assert rough["node_starts"] > calm["node_starts"]


def test_what_it_advises_comes_true(plan):
    code, out, _ = plan("--json", "jobs.csv")
    assert code == 0
    before = json.loads(out)
    assert before["advice"]
    for one in before["advice"]:
        config = json.loads(json.dumps(CONFIG))
        at = config
        for step in one["path"][:-1]:
            at = at[step] if isinstance(step, int) else at.setdefault(step, {})
        at[one["path"][-1]] = one["after"]
        after = facts(plan, "jobs.csv", config=config)
        assert before["month"]["usd"] - after["month"]["usd"] == pytest.approx(one["saves_usd"], abs=0.02)
        longer_s = after["runtimes"][0]["wait_p95_s"] - before["runtimes"][0]["wait_p95_s"]
        assert longer_s == pytest.approx(one["wait_p95_s"], abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "What load? Name a CSV file of jobs, --per-day or --rate"),
        (("--per-day=100",), "Which runtime has the load '100'? Add --runtime, or write sd:100."),
        (("--per-day=no-such:100",), "There is no runtime 'no-such'; there are sd, comfy, bed, own"),
        (("--per-day=sd:100", "--seconds=comfy:3"), "comfy has seconds, but no load"),
        (("--per-day=100", "--runtime=elsewhere"), "has no runtime 'elsewhere'; there are sd, comfy, bed, own"),
        (("--per-day=bed:100",), "bed has no GPUs of its own"),
        (("--per-day=own:100",), "own has a chart of its own"),
        (("--per-day=sd:100", "--rate=sd:08:00=5"), "sd has two loads"),
        (("--per-day=sd:0",), "The load of sd has no job"),
        (("--rate=sd:8=5",), "'8=5' is no step of a rate"),
        (("nowhere.csv",), "nowhere.csv: No such file"),
        (("--per-day=sd:1", "--config=/nowhere.yaml"), "/nowhere.yaml: No such file or directory; name your config"),
    ],
)
def test_what_cannot_be_planned_is_explained_in_a_line(plan, arguments, words):
    code, out, err = plan(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_errors_of_the_configuration_and_unknown_prices_are_named(plan):
    code, _, err = plan("jobs.csv", config={**CONFIG, "stackName": "1x"})
    assert code == 2
    assert "line" in err
    assert "stackName" in err
    pool = {"extraValues": {"karpenter": {"provisioner": {"instanceType": ["p5.48xlarge"]}}}}
    config = {**CONFIG, "modelsRuntime": [{**CONFIG["modelsRuntime"][0], **pool}]}
    code, _, err = plan("jobs.csv", config=config)
    assert (code, err) == (2, "the price of p5.48xlarge is unknown; give what an hour costs (--usd-per-hour)\n")
    assert facts(plan, "jobs.csv", "--usd-per-hour=50", config=config)["month"]["usd"] > 1000
