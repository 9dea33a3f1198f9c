"""The locks under requirements/: one version of each library, and PyTorch where it belongs."""

import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

LOCKS = {path.stem: path for path in Path("requirements").glob("*.txt")}
HEAVY = {"torch", "diffusers", "transformers", "triton"}


def versions(lock):
    """Versions of each library; two where they depend on Python's."""
    found = defaultdict(set)
    for name, version in re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", lock.read_text(), re.MULTILINE):
        found[name].add(version)
    return dict(found)


def test_the_locks_have_one_version_of_what_several_of_them_hold():
    seen = defaultdict(dict)
    for name, path in LOCKS.items():
        for library, found in versions(path).items():
            seen[library][name] = found
    differing = {library: of for library, of in seen.items() if len({tuple(sorted(each)) for each in of.values()}) > 1}
    assert differing == {}


@pytest.mark.parametrize("name", sorted(LOCKS.keys() - {"flux", "torch"}))
def test_no_part_but_the_flux_server_gets_pytorch_or_diffusers(name):
    assert not HEAVY & versions(LOCKS[name]).keys()


def test_what_looks_at_an_account_needs_neither_the_cdk_nor_node():
    assert not {name for name in versions(LOCKS["deploy"]) if name.startswith(("aws-cdk", "nodejs", "jsii"))}


def test_pytorch_has_a_lock_of_its_own_beside_that_of_the_flux_server():
    assert "torch" in versions(LOCKS["torch"])
    assert "diffusers" in versions(LOCKS["flux"])
    assert "torch" not in versions(LOCKS["flux"])
    assert any(name.startswith("nvidia-") for name in versions(LOCKS["torch"]))


def test_the_platform_on_one_machine_imports_nothing_that_make_up_does_not_install():
    groups = re.search(r"^RUN_GROUPS := (.*)$", Path("Makefile").read_text(), re.MULTILINE).group(1).split()
    program = "import sys; at_first = {*sys.modules}; import local.__main__; print(*{*sys.modules} - at_first)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    libraries = packages_distributions()
    missing = {
        library
        for name in loaded
        for library in libraries.get(name, [])
        if not any(library.lower().replace("_", "-") in versions(LOCKS[group]) for group in groups)
    }
    assert missing == set()
