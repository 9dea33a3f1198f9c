"""Writes to moto's DynamoDB, which happen one after the other."""

import time
from concurrent.futures import ThreadPoolExecutor

from local.atomic_writes import mend_writes


class Backend:
    """Fails where a write comes in between the two steps of another."""

    busy = False

    def update_item(self):
        assert not self.busy
        self.busy = True
        time.sleep(0.01)
        self.busy = False

    put_item = delete_item = update_item

    def transact_write_items(self):
        self.put_item()


def test_no_write_comes_between_the_condition_and_the_write_of_another(monkeypatch):
    monkeypatch.setattr("local.atomic_writes.DynamoDBBackend", Backend)
    mend_writes()
    backend = Backend()
    writes = [backend.update_item, backend.put_item, backend.delete_item, backend.transact_write_items] * 3
    with ThreadPoolExecutor(4) as pool:
        for written in [pool.submit(write) for write in writes]:
            written.result()
