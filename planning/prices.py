"""Every price that a bill counts with, in dollars, with its date and where it was read; GPU instances: ``fleet``.

List prices of US West (Oregon), without free tiers and taxes. Where AWS's own pages could not be read, the source says
whose word it is.
"""

from collections.abc import Mapping
from typing import NamedTuple

REGION, REGION_NAME = "us-west-2", "US West (Oregon)"

_GUIDANCE = "AWS, Guidance for Asynchronous Inference with Stable Diffusion, README"
_KARPENTER = "karpenter-provider-aws 1.14.1, zz_generated.pricing_aws.go (US East; Oregon's list is the same)"
_AWS = "https://aws.amazon.com/pricing/"
_OTHERS = "sites other than AWS's"


class Price(NamedTuple):
    """What one unit costs."""

    usd: float
    unit: str
    date: str
    """As year and month, or as a day."""
    source: str


PRICES: Mapping[str, Price] = {
    "eks": Price(0.10, "cluster, hour", "2024-04", _GUIDANCE),
    "gateway": Price(3.50, "million requests", "2024-04", _GUIDANCE),
    "lambda requests": Price(0.20, "million requests", "2024-04", _GUIDANCE),
    "lambda": Price(0.0000133334, "GB-second", "2026-07", f"{_AWS} (arm64)"),
    "sns": Price(0.50, "million requests", "2024-04", _GUIDANCE),
    "sns data": Price(0.09, "GB sent out", "2024-04", _GUIDANCE),
    "sqs": Price(0.40, "million requests", "2024-04", _GUIDANCE),
    "s3 puts": Price(0.005, "thousand PUTs", "2024-04", _GUIDANCE),
    "s3 gets": Price(0.0004, "thousand GETs", "2026-07", _AWS),
    "s3": Price(0.023, "GB-month", "2024-04", _GUIDANCE),
    "data out": Price(0.09, "GB", "2026-07", _AWS),
    "nat": Price(0.045, "hour", "2026-07", _AWS),
    "nat data": Price(0.045, "GB", "2026-07", _AWS),
    "ipv4": Price(0.005, "hour", "2026-07", _AWS),
    "gp3": Price(0.08, "GB-month", "2026-07", _AWS),
    "gp3 iops": Price(0.005, "IOPS above 3,000, month", "2026-07", _AWS),
    "gp3 throughput": Price(0.04, "MiB/s above 125, month", "2026-07", _AWS),
    "filled": Price(0.0036, "GB filled at 300 MiB/s", "2026-11", _OTHERS),
    "snapshot": Price(0.05, "GB-month of snapshot", "2026-07", _AWS),
    "ecr": Price(0.10, "GB-month", "2026-07", _AWS),
    "metric": Price(0.30, "metric, month", "2026-07", _AWS),
    "observations": Price(0.21, "million observations", "2026-11", _OTHERS),
    "alarm": Price(0.10, "metric of an alarm, month", "2026-07", _AWS),
    "dashboard": Price(3.00, "dashboard, month", "2026-07", _AWS),
    "logs": Price(0.50, "GB of logs", "2026-07", _AWS),
    "kept logs": Price(0.03, "GB of logs kept, month", "2026-05", "codingprotocols.com; before compression"),
    "traces": Price(5.00, "million traces", "2026-07", _AWS),
    "writes": Price(0.625, "million writes", "2026-07", _AWS),
    "reads": Price(0.125, "million reads", "2026-07", _AWS),
    "table": Price(0.25, "GB-month", "2026-07", _AWS),
    "backups": Price(0.20, "GB-month of backups", "2026-07", _AWS),
    "secret": Price(0.40, "secret, month", "2026-07", _AWS),
    "key": Price(1.00, "key, month", "2026-07", _AWS),
    "key requests": Price(3.00, "million requests", "2026-07", _AWS),
    "waf": Price(5.00, "web ACL, month", "2026-07", _AWS),
    "waf rule": Price(1.00, "rule, month", "2026-07", _AWS),
    "waf requests": Price(0.60, "million requests", "2026-07", _AWS),
}

SYSTEM_NODE_USD_PER_HOUR: Mapping[str, float] = {
    "t4g.small": 0.0168,
    "t4g.medium": 0.0336,
    "t4g.large": 0.0672,
    "t4g.xlarge": 0.1344,
    "t3a.small": 0.0188,
    "t3a.medium": 0.0376,
    "t3a.large": 0.0752,
    "t3a.xlarge": 0.1504,
    "t3.small": 0.0208,
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "m8g.medium": 0.04488,
    "m8g.large": 0.08976,
    "m8g.xlarge": 0.17952,
    "m7g.medium": 0.0408,
    "m7g.large": 0.0816,
    "m7g.xlarge": 0.1632,
    "m6g.medium": 0.0385,
    "m6g.large": 0.077,
    "m6g.xlarge": 0.154,
    "m7i.large": 0.1008,
    "m7i.xlarge": 0.2016,
    "m6i.large": 0.096,
    "m6i.xlarge": 0.192,
    "m5a.large": 0.086,
    "m5a.xlarge": 0.172,
    "m5.large": 0.096,
    "m5.xlarge": 0.192,
    "c7g.medium": 0.0363,
    "c7g.large": 0.0725,
    "c7g.xlarge": 0.145,
}
"""On demand; of t3 and t4g without the charge for more CPU than their share, $0.04 to $0.05 a vCPU-hour."""
SYSTEM_NODE_DATE, SYSTEM_NODE_SOURCE = "2026-07-06", _KARPENTER
