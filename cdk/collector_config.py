"""What the OpenTelemetry collector does with what agents and KEDA send it."""

import re
from typing import Any

from cdk.metrics import DIMENSIONS, JOBS, RETRIES, SCALING_DIMENSIONS, SCALING_ERRORS

OTLP_PORT = 4318
HEALTH_PORT = 13133

LOG_GROUP_VARIABLE = "METRICS_LOG_GROUP"
NAMESPACE_VARIABLE = "METRICS_NAMESPACE"


def collector_config() -> dict[str, Any]:
    """Give the collector's configuration: traces go to X-Ray, metrics to CloudWatch.

    What differs between deployments comes from the environment, so that the text is the same everywhere.
    """
    return {
        "extensions": {"health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"}},
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"0.0.0.0:{OTLP_PORT}"}}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20},
            # The chart's agents send what came since the last time, which this lets pass. CloudWatch adds up what it
            # gets, and the exporter sends histograms on as they are (awsemfexporter's datapoint.go): what KEDA and
            # other senders have counted since their start would count again every minute.
            "cumulativetodelta": {},
            "batch": {"timeout": "5s"},
        },
        "exporters": {
            "awsxray": {"local_mode": True, "indexed_attributes": ["job", "task", "outcome"]},
            "awsemf": _metrics_exporter(),
        },
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["awsxray"],
                },
                "metrics": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "cumulativetodelta", "batch"],
                    "exporters": ["awsemf"],
                },
            },
        },
    }


def _metrics_exporter() -> dict[str, Any]:
    return {
        "namespace": f"${{env:{NAMESPACE_VARIABLE}}}",
        "log_group_name": f"${{env:{LOG_GROUP_VARIABLE}}}",
        # The runtime's name is an attribute of the agent, not of each measurement.
        "resource_to_telemetry_conversion": {"enabled": True},
        "dimension_rollup_option": "NoDimensionRollup",
        "metric_declarations": [
            {"metric_name_selectors": [f"^{re.escape(name)}"], "dimensions": [list(names) for names in sets]}
            for name, sets in {**DIMENSIONS, SCALING_ERRORS: (SCALING_DIMENSIONS,)}.items()
        ],
        # {job} and {retry} are no units of CloudWatch's, which refuses a metric with an unknown one; KEDA gives none.
        "metric_descriptors": [
            {"metric_name": name, "unit": "Count", "overwrite": True} for name in (JOBS, RETRIES, SCALING_ERRORS)
        ],
    }
