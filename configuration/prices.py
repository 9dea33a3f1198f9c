"""What GPU instances cost."""

from collections.abc import Mapping

PRICES_DATE = "2026-07"
PRICES_REGION_NAME = "US East (N. Virginia)"

ON_DEMAND_USD_PER_HOUR: Mapping[str, float] = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6e.xlarge": 1.861,
    "g6e.2xlarge": 2.24208,
}
"""List prices of Linux instances on demand (https://aws.amazon.com/ec2/pricing/on-demand/)."""
