"""What API v1 takes and answers. The OpenAPI document is made from these models; their docstrings are its words."""
