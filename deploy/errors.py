"""The error that ends a script of deploy/."""


class DeployError(Exception):
    """A problem that prevents the work, and a remedy: what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  → {self.remedy}"
