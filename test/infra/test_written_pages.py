"""What is written from the stacks says what the stacks are."""

import json

import pytest
from infrakit.stacks import NAMES, example

from docs import generate_policies, generate_roles
from docs.synthesis import synthesized_template


def test_the_page_of_roles_is_what_the_stack_grants():
    template = synthesized_template(generate_roles.CONFIG)

    assert generate_roles.PAGE.read_text(encoding="utf-8") == generate_roles.page(template)


@pytest.fixture(scope="module")
def written():
    """The policies for CloudFormation's role as they would be written now."""
    return generate_policies.policies([example(name).template for name in NAMES])


def test_the_policies_for_cloudformation_are_what_its_handlers_call(written):
    files = sorted(generate_policies.FOLDER.glob("cloudformation-*.json"))

    assert [json.loads(path.read_text(encoding="utf-8")) for path in files] == written


def test_iam_takes_each_policy(written):
    assert all(len(json.dumps(one, separators=(",", ":"))) <= generate_policies.MAX_CHARACTERS for one in written)
