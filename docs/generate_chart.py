"""Writes what the Helm chart says of its values from the contract's models: ``python -m docs.generate_chart``."""

import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configuration.chart_release import ReleaseValues
from contract.models import Section
from runtimes.registry import pod_types

CHART = Path(__file__).parent.parent / "charts" / "sd-on-eks"

_WIDTH = 118
_GENERATED = "# Written by `python -m docs.generate_chart`; a test fails when this file and the code differ.\n"

_README_BEGIN = """\
# sd-on-eks

<!-- Written by `python -m docs.generate_chart`; a test fails when this page and the code differ. -->

One release of this chart is one runtime: pods of a model server with a queue agent beside it, their scaling by the
length of the queue, and, with Karpenter, nodes of their own. `cdk deploy` installs it; so does `helm install` on any
cluster, GPU or not.

## What it needs

- Kubernetes 1.30 or newer, and [KEDA](https://keda.sh) 2.20 or newer unless `runtime.scaling.enabled` is false.
- Karpenter 1.14 or newer on AWS, unless `karpenter.enabled` is false.
- The Mountpoint S3 CSI driver 2, unless `runtime.persistence.enabled` is false or `existingClaim` is set.
- A queue, a topic and a bucket at AWS or at anything that speaks SQS, SNS and S3.
- Images `sd-on-eks/queue-agent` and `sd-on-eks/TYPE` (`sdwebui`, `comfyui`, `flux`); name your registry in
  `image.repository`.

## Install

On a cluster without Karpenter, GPU or AWS:

```
helm install sdruntime charts/sd-on-eks --namespace sdruntime --create-namespace --values my-values.yaml
```

```yaml
karpenter:
  enabled: false
runtime:
  type: comfyui
  inferenceApi:
    image:
      repository: registry.example/sd-on-eks/comfyui
    resources: {} # no GPU
  queueAgent:
    image:
      repository: registry.example/sd-on-eks/queue-agent
    s3Bucket: pictures
    snsTopicArn: arn:aws:sns:us-east-1:123456789012:notices
    sqsQueueUrl: http://aws.aws:5000/123456789012/sdruntime
    awsEndpointUrl: http://aws.aws:5000
    credentialsSecret: aws-credentials
  persistence:
    enabled: false
```

A value that is missing stops the installation with a message that names it.

## Who may do what

- **AWS rights** are the agent's alone: annotation `eks.amazonaws.com/skip-containers` keeps EKS Pod Identity from
  giving the model server a token. The keys of `credentialsSecret` go to the agent only.
- **Kubernetes rights**: the agent may change two annotations of its own pod, by which idle pods are removed first. RBAC
  allows `patch` on pods, a ValidatingAdmissionPolicy all but those two. The model server has no token.
- **Network**: the containers of a pod share one network, so no NetworkPolicy can tell agent and model server apart. The
  pod reaches public addresses, and of private ones only DNS, the Pod Identity agent, the Kubernetes API, and the
  namespaces of `otlpEndpoint` and `awsEndpointUrl` where these are in the cluster. Identity, API and AWS do nothing for
  a caller without the token or the keys, which the agent's container alone holds; a collector believes whoever writes
  to it. What an interface endpoint needs, or a server outside the cluster with a private address, is added by
  `networkPolicy.extraEgress`. Other pods reach nothing here. IPv6 is closed. All of it takes a network plugin that
  enforces policies.

## Values

`resources` has its defaults in the templates, for Helm would merge yours into them: what you set takes their place, and
`{}` means none.

| Value | Default | Meaning |
|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """A value of the chart.

    Attributes:
        path: Its keys from the root.
        meaning: Its docstring, on one line.
        default: What it is unless set; None where it is unset.
        inner: The values in it; empty for a plain one.
    """

    path: tuple[str, ...]
    meaning: str
    default: Any
    inner: tuple["_Value", ...] = ()

    @property
    def is_mapping_with_default(self) -> bool:
        """Whether Helm would merge what an operator sets into the default, so that nothing could be taken away."""
        return isinstance(self.default, dict) and bool(self.default)


def _values(section: Section, path: tuple[str, ...] = ()) -> Iterator[_Value]:
    for name, field in type(section).model_fields.items():
        here = (*path, str(field.alias))
        value = getattr(section, name)
        meaning = _one_line(field.description or (inspect.getdoc(type(value)) if isinstance(value, Section) else ""))
        if not isinstance(value, Section):
            yield _Value(path=here, meaning=meaning, default=value)
            continue
        default = value.model_dump(by_alias=True, exclude_none=True)
        inner = tuple(_values(value, here))
        if any(one.is_mapping_with_default for one in inner) and all(isinstance(one.default, dict) for one in inner):
            yield _Value(path=here, meaning=meaning, default=default)
        else:
            yield _Value(path=here, meaning=meaning, default=None, inner=inner)


def _plain_values(values: tuple[_Value, ...]) -> Iterator[_Value]:
    for value in values:
        yield from _plain_values(value.inner) if value.inner else (value,)


def _one_line(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split()).replace("``", "`")


def values_yaml() -> str:
    """Write values.yaml: every value with its meaning and its default."""
    return _GENERATED + "".join(_yaml_lines(tuple(_values(ReleaseValues()))))


def _yaml_lines(values: tuple[_Value, ...]) -> Iterator[str]:
    for value in values:
        indent = "  " * (len(value.path) - 1)
        shown = json.dumps(value.default, ensure_ascii=False)
        meaning = value.meaning
        if value.is_mapping_with_default:
            meaning += f" Default: {shown}"
        for line in textwrap.wrap(meaning, _WIDTH - len(indent) - 2, break_on_hyphens=False):
            yield f"{indent}# {line}\n"
        if value.inner:
            # With nothing but comments below it, a key would be null, which no chart takes for a mapping.
            is_empty = all(one.default is None and not one.inner for one in value.inner)
            yield f"{indent}{value.path[-1]}:{' {}' if is_empty else ''}\n"
            yield from _yaml_lines(value.inner)
        elif value.default is None or value.is_mapping_with_default:
            yield f"{indent}# {value.path[-1]}:\n"
        else:
            yield f"{indent}{value.path[-1]}: {shown}\n"


def schema_json() -> str:
    """Write values.schema.json."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ReleaseValues.model_json_schema(by_alias=True),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def readme() -> str:
    """Write the chart's README."""
    rows = []
    for value in _plain_values(tuple(_values(ReleaseValues()))):
        default = "unset" if value.default is None else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        cells = (f"`{'.'.join(value.path)}`", default, value.meaning)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return _README_BEGIN + "".join(rows)


def runtime_types_yaml() -> str:
    """Write what the templates must know of each runtime type."""
    types = {
        row.name: {
            "port": row.pod.port,
            "healthPath": row.pod.health_path,
            "loadsCheckpoint": row.loads_checkpoint,
            "hasModelOptions": row.has_model_options,
        }
        for row in pod_types().values()
    }
    return _GENERATED + yaml.safe_dump(types, sort_keys=False)


def mapping_defaults_yaml() -> str:
    """Write the defaults that values.yaml cannot hold, by path."""
    values = _plain_values(tuple(_values(ReleaseValues())))
    defaults = {".".join(value.path): value.default for value in values if value.is_mapping_with_default}
    return _GENERATED + yaml.safe_dump(defaults, sort_keys=False)


def pages() -> dict[Path, str]:
    """Every generated file of the chart and its content."""
    return {
        CHART / "values.yaml": values_yaml(),
        CHART / "values.schema.json": schema_json(),
        CHART / "README.md": readme(),
        CHART / "files" / "runtime-types.yaml": runtime_types_yaml(),
        CHART / "files" / "mapping-defaults.yaml": mapping_defaults_yaml(),
    }


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
