"""Requests of one process that find the library half filled."""

from types import SimpleNamespace

from api.operations.icons import IconService


class Interleaved(IconService):
    """Another request has put the last icons by the time that this one looks again."""

    def __init__(self):
        self.asked = []
        self._views = iter([SimpleNamespace(go_on=lambda ends_s: self.asked.append(ends_s) or True)])
        self._search = SimpleNamespace(refresh=lambda: None, library="icons")

    @property
    def _starting(self):
        return next(self._views, None)

    @_starting.setter
    def _starting(self, _):
        pass


def test_a_request_is_answered_although_another_one_ends_the_filling_meanwhile():
    service = Interleaved()
    assert service.library == "icons"
    assert len(service.asked) == 1
