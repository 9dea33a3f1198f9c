"""The sections of config.yaml that say where the platform runs: network, cluster, storage, alarms."""

import re
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from contract.field_errors import shown
from contract.models import Form, Section

_WIDEST_PREFIX, _NARROWEST_PREFIX = 16, 20
ZONES = 3
"""How many availability zones the network has."""
REFUSED_ZONE_IDS = ("use1-az3", "usw1-az2", "cac1-az3")
"""Zones in which EKS runs no control plane (EKS user guide, "Subnet requirements and considerations")."""
ZONE_ID = re.compile(r"[a-z]{3,5}\d-az\d")
"""A zone's ID, as use1-az1: the same place in every account. A zone's name is another place in each."""
_ZONE_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
_INSTANCE_TYPE = r"^[a-z]+\d+[a-z]*(-[a-z0-9]+)?\.[a-z0-9-]+$"
_ROLE_ARN = r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+$"


def _networks(values: list[str]) -> list[str]:
    for value in values:
        _network(value)
    return values


def _private_network(value: str) -> str:
    network = _network(value)
    if not network.is_private or not _WIDEST_PREFIX <= network.prefixlen <= _NARROWEST_PREFIX:
        raise ValueError("must be private addresses, from /16 to /20")
    return value


def _network(value: str) -> IPv4Network:
    try:
        return IPv4Network(value)
    except ValueError:
        raise ValueError(f"must be a network, as 10.0.0.0/16, not {shown(value)}") from None


def _three_zones(values: list[str]) -> list[str]:
    if not values:
        return values
    if len(values) != ZONES or len(set(values)) != ZONES:
        raise ValueError(f"must be {ZONES} different zones")
    if not any(all(form.fullmatch(value) for value in values) for form in (ZONE_ID, _ZONE_NAME)):
        raise ValueError("must be all IDs, as use1-az1, or all names, as us-east-1a")
    if refused := [value for value in values if value in REFUSED_ZONE_IDS]:
        raise ValueError(f"must not have {', '.join(refused)}, where EKS runs no control plane")
    return values


def _offered(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        raise ValueError(f"must be one of {', '.join(map(str, LOG_RETENTION_DAYS))}")
    return days


def _read_off(value: Any) -> Any:
    """YAML reads ``off`` as false."""
    return "off" if value is False else value


def _different(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not have the same twice")
    return values


Administrator = Annotated[str, Form(_ROLE_ARN, "the ARN of a role or user, as arn:aws:iam::123456789012:role/admin")]
Origin = Annotated[str, Form(r"^(\*|https?://[^\s/]+)$", "* or an origin without a path, as https://example.com")]


class Vpc(Section):
    """The network that the platform makes for itself."""

    cidr: Annotated[str, AfterValidator(_private_network)] = "10.0.0.0/16"
    """Its addresses, from /16 to /20; each of six subnets has an eighth of them."""
    nat_gateways: Annotated[int, Field(ge=0, le=3)] = 3
    """NAT gateways: 3 is one for each availability zone; fewer cost less, and a failing zone takes others with it. With
    0, nodes are in the public subnets: each has a public address, by which it reaches the internet, and a security
    group that lets nothing in from there."""
    availability_zones: Annotated[list[str], AfterValidator(_three_zones)] = []
    """Its three zones by ID, as [use1-az1, use1-az2, use1-az4], or by name. Set it before the first deployment: subnets
    cannot move. Default: `deploy/deploy.sh` chooses three that EKS supports; by hand, the region's first three."""


class SystemNodes(Section):
    """The nodes of the cluster's own components, always on demand; a change replaces them, the new ones first."""

    instance_type: Annotated[str, Form(_INSTANCE_TYPE, "an EC2 instance type, as t4g.medium")] = "m5.large"
    """Their EC2 instance type, x86-64 or Graviton (arm64)."""
    count: Annotated[int, Field(ge=2, le=10)] = 2
    """How many there are. A component with two replicas has them on different nodes."""


LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]
"""A log of the control plane, as EKS names it."""
LOG_TYPES: tuple[LogType, ...] = get_args(LogType)


class Cluster(Section):
    """The EKS cluster."""

    version: Annotated[str, Form(r"^1\.\d+$", "a version of Kubernetes in quotes, as '1.36'")] = "1.36"
    """Kubernetes version. The default is the newest that the pinned KEDA and Karpenter support."""
    public_access_cidrs: Annotated[list[str], AfterValidator(_networks)] = ["0.0.0.0/0"]
    """From where the Kubernetes API can be reached, besides from the VPC; an empty list closes it."""
    admin_arns: list[Administrator] = []
    """Roles and users that administer the cluster, besides the one that output ConfigCommand names."""
    system_nodes: SystemNodes = SystemNodes()
    log_types: Annotated[list[LogType], AfterValidator(_different)] = [*LOG_TYPES]
    """Logs of the control plane that are kept: who called the Kubernetes API and how (audit), who was let in
    (authenticator), and what its programs write."""


class OutputBucket(Section):
    """The bucket that pictures are written to; it stays when the platform is removed."""

    expire_days: Annotated[int, Field(ge=1)] | None = None
    """Days after which pictures are deleted. Default: never."""
    cors_origins: list[Origin] = []
    """Web origins whose pages may load pictures and send files by signed links, as https://studio.example."""


class Monitoring(Section):
    """What is watched, and who is notified."""

    alarm_emails: list[Annotated[str, Form(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "an e-mail address")]] = []
    """Addresses that alarms are sent to; each must confirm once."""
    log_retention_days: Annotated[int, Field(ge=1), AfterValidator(_offered)] = 30
    """Days that logs are kept; one of the periods that CloudWatch offers."""
    container_insights: Annotated[Literal["enhanced", "off"], BeforeValidator(_read_off)] = "enhanced"
    """Whether CloudWatch measures nodes, GPUs and pods: enhanced observability, or off. The logs of all pods are kept
    either way. There is no basic form: it has no GPUs, and at this size costs several times as much."""
    flow_logs: bool = True
    """Whether a log is kept of the network's connections: from where to where, and how many bytes."""
    traced_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of the requests whose way is traced in X-Ray, up to the picture. Default: as X-Ray's own rule says, one
    request a second, and 5 % of the others."""


LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What CloudWatch Logs offers (PutRetentionPolicy)."""
