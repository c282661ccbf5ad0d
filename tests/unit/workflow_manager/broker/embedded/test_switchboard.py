from pathlib import Path

import pytest

from workflow_manager.broker.embedded import snapshot
from workflow_manager.broker.embedded.destinations import matches, parse
from workflow_manager.broker.embedded.memory import OVERHEAD, Memory, MemoryFullError
from workflow_manager.broker.embedded.queues import TOPIC_BACKLOG, AckMode, Message, Subscription
from workflow_manager.broker.embedded.switchboard import Switchboard


class Reader:
    """Remembers what it was given."""

    def __init__(self, board: Switchboard, destination: str, prefetch: int = 100) -> None:
        self.board = board
        self.messages: list[Message] = []
        self.subscription = board.subscribe(
            name="s",
            destination=destination,
            mode=AckMode.INDIVIDUAL,
            prefetch=prefetch,
            deliver=self._take,
        )

    def _take(self, _reader: Subscription, message: Message) -> None:
        self.messages.append(message)

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.messages]

    def die(self) -> None:
        self.board.unsubscribe(self.subscription, is_lost=True)


def board_with(*bodies: bytes, max_deliveries: int = 3) -> Switchboard:
    board = Switchboard(max_deliveries)
    for body in bodies:
        board.send("/queue/Q", {}, body, True)
    return board


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("A.B", "A.B", True),
        ("A.*", "A.B", True),
        ("A.*", "A.B.C", False),
        ("*.*.C", "A.B.C", True),
        ("A.>", "A.B.C", True),
        ("A.>", "A.B", True),
        ("A.>", "B.C", False),
        (">", "A", True),
        ("A", "AB", False),
    ],
)
def test_wildcards(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_no_prefix_is_a_queue_and_no_name_is_an_error() -> None:
    assert parse("X") == parse("/queue/X")
    assert parse("/topic/X").is_topic
    with pytest.raises(ValueError, match="without a name"):
        parse("/queue/")


def test_a_wildcard_cannot_be_sent_to() -> None:
    with pytest.raises(ValueError, match="wildcard"):
        Switchboard().send("/queue/A.*", {}, b"", True)


def test_credit_is_respected_and_returned() -> None:
    board = board_with(b"1", b"2", b"3")
    reader = Reader(board, "Q", prefetch=0)
    assert reader.bodies == [b"1"]
    assert board.ack(reader.subscription, reader.messages[0].id)
    assert reader.bodies == [b"1", b"2"]
    assert not board.ack(reader.subscription, "unknown")


def test_only_the_message_in_work_counts_when_a_reader_dies() -> None:
    board = board_with(b"killer", b"healthy")
    for _ in range(3):
        reader = Reader(board, "Q")
        assert reader.bodies == [b"killer", b"healthy"]
        reader.die()
    assert Reader(board, "Q").bodies == [b"healthy"]
    (parked,) = Reader(board, "DLQ").messages
    assert parked.body == b"killer"
    assert parked.headers["dead-letter-reason"] == "the connections of its readers died, 3 times"


def test_what_comes_back_goes_to_the_front_in_order() -> None:
    board = board_with(b"1", b"2")
    reader = Reader(board, "Q")
    board.send("/queue/Q", {}, b"3", True)
    reader.die()
    board.send("/queue/Q", {}, b"4", True)
    again = Reader(board, "Q")
    assert again.bodies == [b"1", b"2", b"3", b"4"]
    assert [m.failures for m in again.messages] == [1, 0, 0, 0]


def test_a_slow_reader_of_a_topic_loses_the_oldest() -> None:
    board = Switchboard()
    reader = Reader(board, "/topic/T", prefetch=1)
    for number in range(TOPIC_BACKLOG + 6):
        board.send("/topic/T", {}, str(number).encode(), False)
    assert reader.subscription.dropped == 5
    board.ack(reader.subscription, reader.messages[0].id)
    assert reader.bodies == [b"0", b"6"]


def test_persistent_messages_outlive_the_broker(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    board = board_with(b"\x00\xff", b"2")
    board.send("Q", {"a": "b"}, b"bare", True)
    board.send("/queue/Q", {}, b"for now only", False)
    assert snapshot.save(board, state) == 3
    reborn = Switchboard()
    assert snapshot.load(reborn, state) == 3
    reborn.send("Q", {}, b"4", True)
    messages = Reader(reborn, "Q").messages
    assert len({m.id for m in messages}) == 4, "an identity was used twice"
    assert [m.body for m in messages[:3]] == [b"\x00\xff", b"2", b"bare"]
    assert messages[2].destination == "Q"
    assert messages[2].headers == {"a": "b"}


def test_no_state_is_no_message_and_a_foreign_file_is_an_error(tmp_path: Path) -> None:
    assert snapshot.load(Switchboard(), tmp_path / "none") == 0
    foreign = tmp_path / "foreign"
    foreign.write_text('{"queue": "Q"}\n')
    with pytest.raises(ValueError, match="line 1: not a message"):
        snapshot.load(Switchboard(), foreign)


def small_board(messages: int) -> Switchboard:
    """Room for that many messages of ten bytes."""
    return Switchboard(memory=Memory(messages * (OVERHEAD + 10)))


def test_a_full_broker_refuses_until_somebody_reads() -> None:
    board = small_board(2)
    for _ in range(2):
        board.send("Q", {}, b"x" * 10, True)
    with pytest.raises(MemoryFullError, match=r"no room for \d+ bytes to 'Q'"):
        board.send("Q", {}, b"x" * 10, True)
    reader = Reader(board, "Q")
    assert board.memory.used == board.memory.limit, "unacknowledged messages take room too"
    board.ack(reader.subscription, reader.messages[0].id)
    board.send("Q", {}, b"x" * 10, True)
    assert len(reader.messages) == 3


def test_of_a_topic_a_full_broker_drops_what_nobody_waits_for() -> None:
    board = small_board(1)
    board.send("Q", {}, b"x" * 10, True)
    reader = Reader(board, "/topic/T")
    board.send("/topic/T", {}, b"1", False, may_drop=True)
    assert reader.bodies == []
    with pytest.raises(MemoryFullError):
        board.send("/topic/T", {}, b"1", False)


def test_a_slow_reader_of_a_topic_makes_room_for_a_queue() -> None:
    board = small_board(2)
    slow = Reader(board, "/topic/T", prefetch=1)
    for number in range(3):
        board.send("/topic/T", {}, f"{number:10}".encode(), False)
    board.send("Q", {}, b"x" * 10, True)
    board.send("Q", {}, b"x" * 10, True)
    assert slow.subscription.dropped == 2
    assert board.memory.used == board.memory.limit


def test_all_room_is_free_again_when_all_is_done() -> None:
    board = board_with(b"1", b"2", b"3", max_deliveries=1)
    Reader(board, "Q").die()  # parks the first
    for queue in ("Q", "DLQ"):
        reader = Reader(board, queue)
        for message in list(reader.messages):
            board.ack(reader.subscription, message.id)
    slow = Reader(board, "/topic/T", prefetch=1)
    for _ in range(3):
        board.send("/topic/T", {}, b"x", False)
    slow.die()
    assert board.memory.used == 0
