"""Deploys the platform, and inspects what was deployed.

``rollout`` deploys in steps: ``support`` checks quotas and zones, ``models`` fills the model bucket, ``images`` builds
into ECR, ``verify`` posts samples. ``redrive`` retries failed jobs, ``removal`` removes a deployment.
"""
