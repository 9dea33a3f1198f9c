"""Whether an account and a region can take the platform: quotas, zones, instance types, services."""
