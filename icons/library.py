"""The library's JSON: a list of icons, checked as a whole and written back the same."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from contract import strict_json
from contract.field_errors import FieldError, field_errors_of, shown
from icons.icon import Icon
from icons.index.metadata import metadata_errors


class LibraryError(ValueError):
    """The JSON is no library.

    Attributes:
        errors: All errors in it.
    """

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        first = self.errors[0]
        super().__init__(f"{first.pointer or 'the library'} {first.detail}{more}")


class IconLibrary:
    """Icons by key, in the order of the JSON."""

    def __init__(self, icons: Iterable[Icon] = ()) -> None:
        self.icons = {icon.key: icon for icon in icons}

    @classmethod
    def from_json(cls, text: str | bytes, beside: str = "") -> "IconLibrary":
        """Read and check.

        Args:
            text: The JSON.
            beside: The URL of a folder; an ``s3_url`` without a scheme is a path in it.

        Raises:
            LibraryError: With all errors in it.
        """
        try:
            data = strict_json.loads(text, max_values=None)
        except ValueError as error:
            raise LibraryError([FieldError("", str(error))]) from None
        return cls.from_list(data, beside)

    @classmethod
    def from_list(cls, data: Any, beside: str = "") -> "IconLibrary":
        """Check what was read from JSON, as ``from_json`` does.

        Raises:
            LibraryError: With all errors in it.
        """
        if not isinstance(data, list):
            raise LibraryError([FieldError("", f"must be a list of icons, not {shown(data)}")])
        icons: list[Icon] = []
        errors: list[FieldError] = []
        for number, item in enumerate(data):
            try:
                icon = Icon.model_validate(_placed(item, beside))
            except ValidationError as error:
                errors += field_errors_of(error, Icon, item, (number,))
            else:
                icons.append(icon)
                errors += (FieldError(f"[{number}].{one.pointer}", one.detail) for one in metadata_errors(icon))
        errors += _key_errors(data)
        if errors:
            raise LibraryError(errors)
        return cls(icons)

    def to_json(self) -> str:
        """One icon a line."""
        lines = ",\n".join(strict_json.utf8(written(icon)) for icon in self.icons.values())
        return f"[\n{lines}\n]\n" if lines else "[]\n"

    @cached_property
    def version(self) -> str:
        """Names this content; 16 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def changed(self, put: Iterable[Icon] = (), delete: Iterable[str] = ()) -> "IconLibrary":
        """A library with icons added or replaced and others removed."""
        gone = set(delete)
        kept = (icon for icon in self.icons.values() if icon.key not in gone)
        return IconLibrary([*kept, *put])


def written(icon: Icon) -> dict[str, Any]:
    """An icon as it stands in the JSON."""
    return icon.model_dump(mode="json", exclude_defaults=True)


def _placed(item: Any, beside: str) -> Any:
    url = item.get("s3_url") if beside and isinstance(item, dict) else None
    return {**item, "s3_url": f"{beside.rstrip('/')}/{url}"} if isinstance(url, str) and "://" not in url else item


def _key_errors(data: list[Any]) -> Iterator[FieldError]:
    """Keys that two icons, or an icon and another's alias, would share in the index."""
    owners: dict[str, int] = {}
    keys = [item.get("key") if isinstance(item, dict) else None for item in data]
    for number, key in enumerate(keys):
        if isinstance(key, str) and owners.setdefault(key, number) != number:
            yield FieldError(f"[{number}].key", f"is used twice: {shown(key)} is also the key of [{owners[key]}]")
    for number, key in enumerate(keys):
        aliases = data[number].get("aliases") if isinstance(key, str) else None
        for alias in range(1, len(aliases) + 1 if isinstance(aliases, list) else 1):
            if (owner := owners.get(f"{key}#{alias}")) is not None:
                detail = f"must not be {shown(key)} with # and a number, which names an alias of [{number}]"
                yield FieldError(f"[{owner}].key", detail)
