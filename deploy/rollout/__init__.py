"""From an account to a running platform, in steps that can each be repeated."""
