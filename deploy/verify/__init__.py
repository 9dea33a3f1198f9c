"""Posts the sample requests to a running platform and waits for their pictures: ``python -m deploy.verify``."""
