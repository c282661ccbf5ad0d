"""What SIGTERM keeps."""

from contextlib import closing
from pathlib import Path

from tests.integration.broker.houses import EmbeddedProcess
from tests.integration.broker.test_embedded import Wire

NUMBER = 100
SIZE = 100_000  # together far more than the buffers between a broker and its client hold


def test_what_a_reader_has_not_read_is_there_after_a_stop(tmp_path: Path) -> None:
    broker = EmbeddedProcess(tmp_path)
    broker.start()
    with closing(Wire(broker, "1.2")) as lazy, closing(Wire(broker, "1.2")) as sender:
        lazy.send("SUBSCRIBE", {"id": "s", "destination": "Q", "ack": "client", "receipt": "on"})
        assert lazy.read().command == "RECEIPT"
        headers = {"destination": "Q", "persistent": "true", "receipt": "r"}
        for number in range(NUMBER):
            sender.send("SEND", headers, f"{number:{SIZE}}".encode())
            assert sender.read().command == "RECEIPT"
        broker.stop()
    broker.start()
    try:
        with closing(Wire(broker, "1.2")) as reader:
            reader.send("SUBSCRIBE", {"id": "s", "destination": "Q"})
            assert [int(reader.read().body) for _ in range(NUMBER)] == list(range(NUMBER))
    finally:
        broker.stop()
