"""AWS WAF before the API."""

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

_RATE_WINDOW_S = 300
_RATE_LIMIT = 10_000
"""Requests of one address in five minutes: above the default throttle of one key (30 a second), so that it stops floods
and no customer."""


_COUNTED_ONLY = ("SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericRFI_BODY", "GenericLFI_BODY")
"""Rules that legitimate requests would trip: large bodies, links and free text."""


class WebAcl(Construct):
    """AWS's common rules, and a limit for each client address.

    The rule on the size of bodies only counts: pictures in base64 are larger than it lets through. So do the rules that
    look for scripts in bodies: prompts and workflows are free text.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: apigateway.Stage) -> None:
        super().__init__(scope, construct_id)
        rate = {"aggregateKeyType": "IP", "limit": _RATE_LIMIT, "evaluationWindowSec": _RATE_WINDOW_S}
        common = {
            "vendorName": "AWS",
            "name": "AWSManagedRulesCommonRuleSet",
            "ruleActionOverrides": [{"name": name, "actionToUse": {"count": {}}} for name in _COUNTED_ONLY],
        }
        acl = wafv2.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=_visibility("Acl"),
            rules=[
                {
                    "name": "rate",
                    "priority": 0,
                    "action": {"block": {}},
                    "statement": {"rateBasedStatement": rate},
                    "visibilityConfig": _visibility("Rate"),
                },
                {
                    "name": "common",
                    "priority": 1,
                    "overrideAction": {"none": {}},
                    "statement": {"managedRuleGroupStatement": common},
                    "visibilityConfig": _visibility("Common"),
                },
            ],
        )
        wafv2.CfnWebACLAssociation(self, "Association", resource_arn=stage.stage_arn, web_acl_arn=acl.attr_arn)


def _visibility(metric: str) -> dict[str, bool | str]:
    return {"cloudWatchMetricsEnabled": True, "metricName": metric, "sampledRequestsEnabled": False}
