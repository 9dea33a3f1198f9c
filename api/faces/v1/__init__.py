"""API v1: jobs as resources, with everything that an application needs to follow them."""
