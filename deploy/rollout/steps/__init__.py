"""The steps of a deployment, each a thing that is looked for first and made only where it is missing."""
