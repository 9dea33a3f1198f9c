"""The job store: jobs, the conditional commands that change them, and the clients that send these commands."""
