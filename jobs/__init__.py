"""The job store: what a job is, and the requests to the jobs table with their conditions."""
