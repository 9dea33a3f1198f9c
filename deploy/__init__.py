"""Deploying the platform, and looking at what was deployed.

``rollout`` deploys in steps: ``support`` compares quotas and zones with what is needed, ``models`` fills the model
bucket, ``images`` builds into ECR, ``verify`` posts samples. ``redrive`` retries failed jobs, ``removal`` removes all.
"""
