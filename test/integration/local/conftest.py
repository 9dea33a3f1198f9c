"""AWS as the local platform has it, deployed for one runtime."""

from collections.abc import Iterator

import pytest

from runtimes.catalog import DeployedRuntime
from test.kit.aws import FakeAws


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeAws]:
    aws = FakeAws(tmp_path_factory.mktemp("aws"), DeployedRuntime(name="only", type="comfyui"))
    yield aws
    aws.close()
