"""What icons are called: the name that begins a description, the words of a key, and tags."""

import re
from collections.abc import Callable, Iterable, Mapping
from string import digits

from icons.icon import Icon, IconStatus
from icons.text import normalize

_CLAUSE = re.compile("[,;:|/(，。；：、]")  # noqa: RUF001
"""Ends the name with which a description begins: "Right arrow icon, for navigation"."""
_ASKING = re.compile(r"\b(?:please|give me|i (?:want|need)|an?|the|icons?)\b|请?给我|我(?:想?要|需要)|[一两]个|图标")
_MAX_SHARED = 5
"""Icons that are called the same: of more, the words name a group, and no icon of it."""


_AFTER_TAGS = 1000
"""The place of words with which an icon was drawn."""


def names_of(icon: Icon) -> list[str]:
    """How an icon's descriptions begin."""
    return [_CLAUSE.split(text.strip(), maxsplit=1)[0] for text in icon.texts]


def callings_of(icon: Icon) -> dict[str, int]:
    """All that an icon is called: 0 for its names, 1 for its first tag, and so on, since the best tags come first.

    An icon that was drawn and that nobody has looked at shows all that was asked for: it has no shorter name.
    """
    if icon.status is IconStatus.CANDIDATE:
        return dict.fromkeys(map(_calling, icon.texts), _AFTER_TAGS)
    names = dict.fromkeys(map(_calling, {*names_of(icon), *icon.texts, _without_number(icon.key)}), 0)
    tags = [(_calling(tag), place) for place, tag in enumerate(icon.tags, start=1)]
    return dict(reversed(tags)) | names


def _without_number(key: str) -> str:
    """A key without the number at its end, which only tells it from others."""
    words = key.rstrip(digits)
    return words.rstrip("-_. ") if words != key else key


class Callings:
    """Finds icons by what they are called.

    Args:
        icons: What each is called.
    """

    def __init__(self, icons: Iterable[Mapping[str, int]]) -> None:
        self._rows: dict[str, list[tuple[int, int]]] = {}
        for row, callings in enumerate(icons):
            for calling, place in callings.items():
                self._rows.setdefault(calling, []).append((place, row))

    def find(self, query: str, is_allowed: Callable[[int], bool]) -> list[int]:
        """The icons that have a query's words as a name, or else those that have them nearest the front of their tags.

        Of words that more than a few icons have, none is found.
        """
        found = [(place, row) for place, row in self._rows.get(_calling(query), ()) if is_allowed(row)]
        best = min((place for place, _ in found), default=0)
        sharing = [one for one in found if one[0] == 0 or best > 0]
        return [row for place, row in found if place == best] if len(sharing) <= _MAX_SHARED else []


def _calling(text: str) -> str:
    """The words of a text in any order, without those of asking if there are others."""
    words = normalize(text)
    return " ".join(sorted((_ASKING.sub(" ", words).strip() or words).split()))
