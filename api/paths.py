"""Templates of paths, such as ``/jobs/{job}/events``."""


def path_values(template: str, path: str) -> dict[str, str] | None:
    """The values of a template's names in a path; None where it does not match.

    A last name that ends in ``...`` takes the rest of the path, slashes included.
    """
    names = template.strip("/").split("/")
    parts = path.split("/", len(names) - 1) if names[-1].endswith("...}") else path.split("/")
    if len(parts) != len(names):
        return None
    values = {}
    for part, name in zip(parts, names, strict=True):
        if name.startswith("{"):
            values[name[1:-1].removesuffix("...")] = part
        elif part != name:
            return None
    return values
