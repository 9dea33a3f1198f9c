"""Which waiting orders are denoised together. Pure: no clock, no I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from runtimes.flux.server.ports import Order


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting order.

    Attributes:
        key: Orders of equal keys may be denoised together.
        pictures: How many it asks for.
        alone: Whether it must not be drawn with others.
    """

    key: tuple[object, ...]
    pictures: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """Some pictures of an order; ``order`` has their seeds alone, and ``first`` is the first one's number."""

    order: Order
    first: int


def gathered(waiting: Iterable[Candidate], most: int) -> tuple[list[int], bool]:
    """Choose the next batch: the first that waits, and those of its key that fit, in order.

    Nobody overtakes within a key. An order of more than ``most`` pictures is a batch by itself.

    Args:
        waiting: In the order in which they came.
        most: Pictures of a batch.

    Returns:
        Positions of the chosen ones; and whether the batch is full, so that waiting for more is of no use.
    """
    queue = iter(waiting)
    leader = next(queue, None)
    if leader is None:
        return [], False
    chosen, pictures = [0], leader.pictures
    if leader.alone:
        return chosen, True
    for position, candidate in enumerate(queue, start=1):
        if candidate.key != leader.key or candidate.alone:
            continue
        if pictures + candidate.pictures > most:
            return chosen, True
        chosen.append(position)
        pictures += candidate.pictures
    return chosen, pictures >= most


def parts(orders: Iterable[Order], most: int) -> Iterator[tuple[Share, ...]]:
    """Cut a batch into parts of at most ``most`` pictures, in order; only the first keeps the wish for a preview."""
    part: list[Share] = []
    for share in _pictures(orders):
        if len(part) == most:
            yield _joined(part)
            part = []
        part.append(share)
    if part:
        yield _joined(part)


def singles(part: Iterable[Share]) -> Iterator[tuple[Share, ...]]:
    """Cut a part into its pictures."""
    for share in part:
        for offset in range(len(share.order.seeds)):
            yield (_cut(share, offset, 1),)


def _pictures(orders: Iterable[Order]) -> Iterator[Share]:
    for order in orders:
        yield from (share for (share,) in singles([Share(order, 1)]))


def _joined(pictures: list[Share]) -> tuple[Share, ...]:
    """Join neighbouring pictures of the same order again."""
    shares: list[Share] = []
    for picture in pictures:
        last = shares[-1] if shares else None
        if last is not None and last.order.job == picture.order.job:
            shares[-1] = Share(replace(last.order, seeds=(*last.order.seeds, *picture.order.seeds)), last.first)
        else:
            shares.append(picture)
    return tuple(shares)


def _cut(share: Share, offset: int, pictures: int) -> Share:
    order = share.order
    preview = order.preview and share.first + offset == 1
    return Share(replace(order, seeds=order.seeds[offset : offset + pictures], preview=preview), share.first + offset)
