from types import SimpleNamespace

from agentkit import until

from queue_agent.catalog import CatalogPublisher
from queue_agent.errors import PlatformError, ServerError
from runtimes.live import LiveCatalog, Named

LONG_S = 3600
CATALOG = LiveCatalog(models=(Named(name="a"),))


class Rig:
    """A publisher of a server whose answers are set; the last one is given again and again."""

    def __init__(self, *answers, interval_s=0.001):
        self.looks = 0
        self.answers, self.ready, self.asked, self.published, self.errors = list(answers), True, 0, [], []
        self.publisher = CatalogPublisher(
            self._publish,
            server=SimpleNamespace(catalog=self._catalog),
            is_ready=self._is_ready,
            interval_s=interval_s,
            look_s=0.001,
        )

    def _is_ready(self):
        self.looks += 1
        return self.ready

    async def _catalog(self):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _publish(self, packed):
        if self.errors:
            raise self.errors.pop(0)
        self.published.append(LiveCatalog.unpack(packed))


async def test_what_a_server_has_is_published_once_it_is_ready():
    rig = Rig(CATALOG, interval_s=LONG_S)
    rig.ready = False
    async with rig.publisher:
        await until(lambda: rig.looks > 3)
        assert not rig.asked
        rig.ready = True
        await until(lambda: rig.published)
    assert (rig.asked, rig.published) == (1, [CATALOG])


async def test_it_is_published_again_and_again_so_that_it_is_known_to_be_true():
    rig = Rig(CATALOG)
    async with rig.publisher:
        await until(lambda: len(rig.published) > 3)


async def test_a_failure_of_the_server_or_of_s3_is_logged_once_an_outage_and_the_next_time_succeeds(caplog):
    rig = Rig(ServerError("away"), AttributeError("odd"), TimeoutError(), CATALOG)
    rig.errors = [PlatformError("s3:PutObject failed: AccessDenied")]
    async with rig.publisher:
        await until(lambda: rig.published)
        assert len(caplog.records) == 1
        rig.errors = [PlatformError("s3:PutObject failed: AccessDenied")]
        await until(lambda: not rig.errors)
    assert len(caplog.records) == 2


async def test_a_server_that_does_not_say_what_it_has_publishes_nothing():
    rig = Rig(None)
    async with rig.publisher:
        await until(lambda: rig.asked > 3)
    assert not rig.published
