"""How other APIs write of a job: the bodies of webhooks that their clients ask for, and of those APIs' own answers."""
