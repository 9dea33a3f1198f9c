"""Takes a drawn picture into the library, once for each need, however often it is tried."""

from contract.objects import s3_url
from icons.alpha import cut_out
from icons.icon import Icon, IconSource, IconStatus
from icons.needs import Need
from icons.rebuild import Indexer
from icons.search import IconSearch
from icons.storage import Storage
from icons.store import PREFIX
from icons.tracing import traced

DRAWN = "drawn/"
"""Where drawn icons are, under the library's prefix; each as PNG and, under the same name, as SVG."""
OPAQUE = "opaque"
"""The tag of a drawn icon whose ground is still there, because it was not plain."""
_MAX_ALIASES = 20
"""Of an icon: more wordings of one thing help no query."""


class Intake:
    """Cuts out, stores and indexes drawn pictures. A call that dies leaves nothing that the next one does not mend.

    Args:
        search: Finds near duplicates.
        indexer: Changes the library and its index.
        storage: The library's prefix of the bucket.
        bucket: Its name.
    """

    def __init__(self, *, search: IconSearch, indexer: Indexer, storage: Storage, bucket: str) -> None:
        self._search = search
        self._indexer = indexer
        self._storage = storage
        self._bucket = bucket

    def take_in(self, need: Need, picture: bytes) -> Icon:
        """Make a picture the icon of a need, or the need's words an alias of an icon that is nearly the same.

        The files come first and the library after its vectors, so that whatever queries find is there.

        Raises:
            NoPictureError: It is no picture.
        """
        self._search.refresh()
        if (known := self._search.library.icons.get(need.icon_key)) is not None:
            return known
        found = self._search.search(need.query).duplicate
        if found is not None and found.icon.style in {"", need.style}:
            return self._with_alias(found.icon, need.query)
        cutout = cut_out(picture, side=need.side)
        svg = traced(cutout.png)
        name = f"{DRAWN}{need.icon_key}"
        self._storage.write(f"{name}.png", cutout.png)
        self._storage.write(f"{name}.svg", svg.encode())
        icon = Icon(
            key=need.icon_key,
            description=need.query,
            s3_url=s3_url(self._bucket, f"{PREFIX}{name}.png"),
            tags=(OPAQUE,) if cutout.kept_ground else (),
            style=need.style,
            status=IconStatus.CANDIDATE,
            source=IconSource.DRAWN,
        )
        self._put(icon)
        return icon

    def _with_alias(self, icon: Icon, text: str) -> Icon:
        if text in icon.texts or len(icon.aliases) >= _MAX_ALIASES:
            return icon
        changed = icon.model_copy(update={"aliases": (*icon.aliases, text)})
        if changed.vector_keys[-1] in self._search.library.icons:
            return icon
        self._put(changed)
        return changed

    def _put(self, icon: Icon) -> None:
        self._indexer.put([icon])
        self._search.refresh()


def svg_key(key: str) -> str | None:
    """The key of a drawn icon's SVG in the bucket, by that of its PNG; None for a picture that was not drawn."""
    is_drawn = key.startswith(f"{PREFIX}{DRAWN}") and key.endswith(".png")
    return f"{key.removesuffix('.png')}.svg" if is_drawn else None
