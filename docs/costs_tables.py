"""Writes the tables of docs/costs.md from the code: ``python -m docs.costs_tables``."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from configuration.config import Config, parse_config
from configuration.gpus import SPEEDS, Workload
from configuration.prices import PRICES_DATE, PRICES_REGION_NAME
from configuration.profiles import PROFILES
from docs import costs, managed_costs
from docs.tables import table, write
from planning.bill import Line, Usage, beyond, bill, idle, total
from planning.fleet import SPOT, worth
from planning.prices import PRICES, REGION, SYSTEM_NODE_DATE, SYSTEM_NODE_SOURCE

PAGE = Path(__file__).with_name("costs.md")
_EXAMPLE = Path(__file__).parent.parent / "examples" / "configs" / "minimal.yaml"
_WORKLOADS: Mapping[Workload, str] = {"sd15": "SD 1.5, 512²", "flux-schnell": "FLUX.1-schnell, 512²"}
_OTHERS_USD = 2
"""Services that cost less in every profile are one row."""
DEARER_USD = SPOT[REGION]["g5.2xlarge"].usd_per_hour
"""The newest Spot price with a source that is of a larger instance with the same GPU."""
_NODE_TEMPLATE = "modelsRuntime.extraValues.karpenter.nodeTemplate"
_LEVERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("`vpc.natGateways: 1`", {"vpc.natGateways": 1}, "if its zone fails, the other zones lose their way out, too"),
    (
        "`vpc.natGateways: 0`",
        {"vpc.natGateways": 0},
        "nodes have public addresses, with nothing let in; pictures and images come in without a charge",
    ),
    (
        "`cluster.systemNodes.instanceType: t4g.large`",
        {"cluster.systemNodes": {"instanceType": "t4g.large"}},
        "nothing: the same memory on Graviton; a burst of CPU beyond 30 % of it is charged",
    ),
    (
        "`cluster.systemNodes.instanceType: t4g.medium`",
        {"cluster.systemNodes": {"instanceType": "t4g.medium"}},
        "room: 4 GiB a node hold the components, but not both nodes' on one",
    ),
    (
        "`monitoring.containerInsights: off`",
        {"monitoring.containerInsights": "off"},
        "no metrics of nodes, GPUs and pods; logs and the agents' own metrics stay",
    ),
    (
        "`monitoring.flowLogs: false`, `cluster.logTypes: [authenticator]`",
        {"monitoring.flowLogs": False, "cluster.logTypes": ["authenticator"]},
        "nobody sees afterwards who called the Kubernetes API, or who talked to whom",
    ),
    ("`monitoring.tracedPercent: 5`", {"monitoring.tracedPercent": 5}, "one job in twenty shows its way in X-Ray"),
    (
        "`dataVolume: {volumeSize: 20Gi, iops: 3000, throughput: 125}`",
        {f"{_NODE_TEMPLATE}.dataVolume": {"volumeSize": "20Gi", "iops": 3000, "throughput": 125}},
        "nothing where local disks hold the images; with a snapshot, slow starts",
    ),
)


def in_all() -> str:
    """What profiles cost idle, and with a million pictures."""
    rows = []
    for profile in PROFILES:
        config = costs.config_of(profile)
        usage = Usage.of_images(config, costs.MILLION)
        dearer = Usage.of_images(config, costs.MILLION, usd_per_hour=DEARER_USD)
        at_rest, together = total(idle(config)), total(bill(config, usage))
        figures = at_rest, together - at_rest, together, total(bill(config, dearer))
        rows.append((f"`{profile}`", *(f"{usd:.0f}" for usd in figures), f"{together / costs.MILLION:.6f}"))
    head = ("Profile", "Idle, $", "A million pictures add, $", "Together, $", f"with a GPU at ${DEARER_USD:.2f}, $")
    return table((*head, "A picture, $"), rows)


def idle_by_profile() -> str:
    """What stays of each service in each profile."""
    bills = [_by_service(idle(costs.config_of(profile))) for profile in PROFILES]
    services = {service for one in bills for service in one}
    large = [one for one in services if max(bill[one] for bill in bills) >= _OTHERS_USD]
    large.sort(key=lambda one: -max(bill[one] for bill in bills))
    rows = [(one, *(f"{bill[one]:.2f}" for bill in bills)) for one in large]
    others = ", ".join(sorted(services - {*large}))
    rows.append((others, *(f"{sum(bill[one] for one in services - {*large}):.2f}" for bill in bills)))
    sums = (f"**{total(idle(costs.config_of(profile))):.2f}**" for profile in PROFILES)
    return table(("Service", *(f"`{one}`, $" for one in PROFILES)), [*rows, ("**Sum**", *sums)])


def _by_service(lines: list[Line]) -> Mapping[str, float]:
    found: dict[str, float] = defaultdict(float)
    for line in lines:
        found[line.service] += line.usd
    return found


def lean_idle() -> str:
    """Every line of an idle month."""
    return costs.table(idle(costs.config_of("lean")))


def lean_pictures() -> str:
    """Every line that a million pictures add."""
    config = costs.config_of("lean")
    return costs.table(beyond(bill(config, Usage.of_images(config, costs.MILLION)), idle(config)))


def levers() -> str:
    """What single settings save of a resilient platform."""
    before = costs.config_of("resilient")
    rows = []
    for words, keys, price in _LEVERS:
        after = _changed(keys)
        saved = (total(_month(before, images)) - total(_month(after, images)) for images in (0, costs.MILLION))
        rows.append((words, *(f"-{usd:.0f}" if usd >= 1 else "0" for usd in saved), price))
    return table(
        ("One change to `resilient`", "$ a month, idle", "$, with a million pictures", "What it costs you"), rows
    )


def _month(config: Config, images: float) -> list[Line]:
    return bill(config, Usage.of_images(config, images)) if images else idle(config)


def _changed(keys: Mapping[str, Any]) -> Config:
    data = yaml.safe_load(_EXAMPLE.read_text(encoding="utf-8"))
    for path, value in keys.items():
        at, (*above, last) = data, path.split(".")
        for key in above:
            at = at.setdefault(key, {}) if key != "modelsRuntime" else at[key][0]
        at[last] = value
    return parse_config(data)


def which_gpu() -> str:
    """What a dollar draws on each instance type."""
    rows = []
    for workload in _WORKLOADS:
        for row in worth(workload):
            speed, quote = SPEEDS[workload][row.gpu], SPOT[REGION].get(row.instance_type)
            spot = f"{row.spot:.4f}" + (f" ({quote.date})" if quote else " (assumed)")
            per_second = f"{row.pictures_per_s:.2f}" + (" (assumed)" if speed.is_assumed else "")
            rows.append(
                (
                    _WORKLOADS[workload],
                    f"{row.instance_type} ({row.gpu})",
                    f"{row.on_demand:.4f}",
                    spot,
                    per_second,
                    f"{row.per_usd_on_demand:,.0f}",
                    f"{row.per_usd_spot:,.0f}",
                )
            )
    head = ("Model", "Type", "On demand, $ an hour", "Spot, $ an hour", "Pictures a second")
    return table((*head, "Pictures for $1 on demand", "Pictures for $1 on Spot"), rows)


def speeds() -> str:
    """Whose word each speed is."""
    rows = [
        (_WORKLOADS[workload], gpu, f"{one.pictures_per_s:.3f}", one.source + ("; assumed" if one.is_assumed else ""))
        for workload in _WORKLOADS
        for gpu, one in SPEEDS[workload].items()
    ]
    return table(("Model", "GPU", "Pictures a second", "Source"), rows)


def prices() -> str:
    """Every price, with its date and where it was read."""
    rows = [(name, one.unit, f"{one.usd:.10f}".rstrip("0"), one.date, one.source) for name, one in PRICES.items()]
    nodes = ("system nodes", "hour", "in the bill", SYSTEM_NODE_DATE, SYSTEM_NODE_SOURCE)
    gpus = ("GPU nodes on demand", "hour", "above", PRICES_DATE, f"the same, for {PRICES_REGION_NAME}")
    spot = [
        (f"Spot, {name}", "hour", f"{one.usd_per_hour}", one.date, one.source) for name, one in SPOT[REGION].items()
    ]
    return table(("Price", "Counted by", "$", "Date", "Source"), [*rows, nodes, gpus, *spot])


def following() -> str:
    """What it costs to learn of the ends of jobs."""
    seconds = (2, 10, 60)
    columns = [costs.following(one) for one in seconds]
    rows = ([way, *(f"{column[way]:.2f}" for column in columns)] for way in columns[0])
    return table(("A million jobs followed by", *(f"for {one:g} s each, $" for one in seconds)), rows)


def managed_idle() -> str:
    """Every line of an idle month of one managed runtime."""
    return costs.table(managed_costs.at_rest())


def managed_volumes() -> str:
    """What managed runtimes cost by their pictures a day."""
    return managed_costs.volumes()


TABLES: Mapping[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        *(in_all, idle_by_profile, lean_idle, lean_pictures, levers, which_gpu, speeds, prices, following),
        *(managed_idle, managed_volumes),
    )
}
"""By the name that the comments on the page have."""


if __name__ == "__main__":
    write(PAGE, TABLES)
