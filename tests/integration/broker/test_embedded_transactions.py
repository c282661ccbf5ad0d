"""A transaction is all or nothing, whatever is in it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.broker.houses import EmbeddedProcess
from tests.integration.broker.test_embedded import Wire


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProcess]:
    broker = EmbeddedProcess(tmp_path_factory.mktemp("transactions"))
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize("bad", ["/queue/", "/topic/", "A.*", ""])
def test_one_bad_destination_undoes_all(process: EmbeddedProcess, bad: str) -> None:
    with closing(Wire(process, "1.2")) as sender, closing(Wire(process, "1.2")) as reader:
        sender.send("BEGIN", {"transaction": "t"})
        sender.send("SEND", {"destination": "Q", "transaction": "t"}, b"half")
        sender.send("SEND", {"destination": bad, "transaction": "t"}, b"never")
        sender.send("COMMIT", {"transaction": "t", "receipt": "r"})
        assert sender.read().command == "ERROR"
        reader.send("SUBSCRIBE", {"id": "s", "destination": "Q", "receipt": "nothing-before-this"})
        assert reader.read().command == "RECEIPT"
