"""AWS WAF before the API."""

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

_RATE_WINDOW_S = 300
_RATE_LIMIT = 10_000
"""Requests of one address in five minutes: above the default throttle of one key (30 a second), so that it stops floods
and no customer."""


class WebAcl(Construct):
    """AWS's common rules, and a limit for each client address.

    The rule on the size of bodies only counts: pictures in base64 are larger than it lets through. So do the rules that
    look for scripts in bodies: prompts and workflows are free text.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: apigateway.Stage) -> None:
        super().__init__(scope, construct_id)
        acl = wafv2.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility("Acl"),
            rules=[_rate_rule(priority=0), _common_rules(priority=1)],
        )
        wafv2.CfnWebACLAssociation(self, "Association", resource_arn=stage.stage_arn, web_acl_arn=acl.attr_arn)


def _rate_rule(*, priority: int) -> wafv2.CfnWebACL.RuleProperty:
    limit = wafv2.CfnWebACL.RateBasedStatementProperty(
        aggregate_key_type="IP", limit=_RATE_LIMIT, evaluation_window_sec=_RATE_WINDOW_S
    )
    return wafv2.CfnWebACL.RuleProperty(
        name="rate",
        priority=priority,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        statement=wafv2.CfnWebACL.StatementProperty(rate_based_statement=limit),
        visibility_config=_visibility("Rate"),
    )


_COUNTED_ONLY = ("SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericRFI_BODY", "GenericLFI_BODY")
"""Rules that legitimate requests would trip: large bodies, links and free text."""


def _common_rules(*, priority: int) -> wafv2.CfnWebACL.RuleProperty:
    counted = [
        wafv2.CfnWebACL.RuleActionOverrideProperty(
            name=name, action_to_use=wafv2.CfnWebACL.RuleActionProperty(count={})
        )
        for name in _COUNTED_ONLY
    ]
    group = wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
        vendor_name="AWS", name="AWSManagedRulesCommonRuleSet", rule_action_overrides=counted
    )
    return wafv2.CfnWebACL.RuleProperty(
        name="common",
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
        visibility_config=_visibility("Common"),
    )


def _visibility(metric: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=False
    )
