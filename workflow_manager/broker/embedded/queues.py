"""Queues and those who read them: pure, no I/O, no threads, no clock.

What counts as a failed delivery: a NACK, and the *oldest* unacknowledged message of a subscription
whose connection died, because that is the one its reader was working on. Messages that only waited
in the prefetch of a killed reader come back uncounted, so kills cannot dead-letter healthy ones,
while a message that kills its reader each time is parked in the end.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from workflow_manager.broker.embedded.memory import Memory, weight

TOPIC_BACKLOG = 1000  # messages kept for a slow reader of a topic; then the oldest go


class AckMode(StrEnum):
    AUTO = "auto"
    CLIENT = "client"
    INDIVIDUAL = "client-individual"


@dataclass(slots=True, eq=False)
class Message:
    """A message on its way. `destination` is spelled as its sender spelled it."""

    id: str
    destination: str
    headers: dict[str, str]
    body: bytes
    is_persistent: bool
    failures: int = 0
    is_redelivered: bool = False
    queue: "Queue | None" = None
    wire: dict[str, bytes] = field(default_factory=dict)  # encoded headers by protocol version
    size: int = field(init=False)  # bytes; stays what was accounted when headers are added

    def __post_init__(self) -> None:
        self.size = weight(self.headers, self.body)

    def release(self) -> None:
        """It is done: its room is free. A topic's message is accounted where it waits."""
        if self.queue is not None:
            self.queue.memory.used -= self.size


@dataclass(slots=True, eq=False)
class Subscription:
    """A reader with room for `prefetch` unacknowledged messages."""

    id: str
    pattern: str
    is_topic: bool
    mode: AckMode
    prefetch: int
    deliver: Callable[["Subscription", Message], None]
    memory: Memory
    is_blocked: Callable[[], bool] = lambda: False
    unacked: dict[str, Message] = field(default_factory=dict)
    queues: list["Queue"] = field(default_factory=list)
    backlog: deque[Message] = field(default_factory=deque)
    dropped: int = 0

    @property
    def has_credit(self) -> bool:
        return len(self.unacked) < self.prefetch and not self.is_blocked()

    def hand_over(self, message: Message) -> None:
        if self.mode is AckMode.AUTO:
            message.release()
        else:  # a topic's message never comes back: only its identity is kept
            self.unacked[message.id] = replace(message, body=b"") if self.is_topic else message
        self.deliver(self, message)
        message.is_redelivered = True  # from now on any further delivery is a second one

    def offer(self, message: Message) -> None:
        """Take a topic's message now, or keep it while there is room."""
        if self.has_credit and not self.backlog:
            self.hand_over(message)
            return
        if len(self.backlog) == TOPIC_BACKLOG:
            self.drop_oldest()
        self.memory.used += message.size
        self.backlog.append(message)

    def drop_oldest(self) -> None:
        """Make room in the backlog."""
        self.take_oldest()
        self.dropped += 1

    def take_oldest(self) -> Message:
        """The message of the backlog that came first, with its room freed."""
        message = self.backlog.popleft()
        self.memory.used -= message.size
        return message

    def settle(self, message_id: str) -> list[Message]:
        """Remove what an ACK or NACK of `message_id` covers: itself, or all before it too."""
        if message_id not in self.unacked:
            return []
        if self.mode is AckMode.INDIVIDUAL:
            return [self.unacked.pop(message_id)]
        settled: list[Message] = []
        for each in list(self.unacked):
            settled.append(self.unacked.pop(each))
            if each == message_id:
                break
        return settled

    def pump(self) -> None:
        """Use the credit that there is."""
        while self.backlog and self.has_credit:
            self.hand_over(self.take_oldest())
        for queue in self.queues:
            queue.pump()


@dataclass(slots=True, eq=False)
class Queue:
    """Waiting messages, dealt round-robin to the readers that have credit."""

    name: str
    memory: Memory
    waiting: deque[Message] = field(default_factory=deque)
    readers: deque[Subscription] = field(default_factory=deque)

    def put(self, message: Message) -> None:
        """Take a new message, or one that moves here from another queue."""
        if message.queue is None:
            self.memory.used += message.size
        message.queue = self
        self.waiting.append(message)
        self.pump()

    def put_back(self, messages: Iterable[Message]) -> None:
        """Return messages to the front, in their order; does not deal yet."""
        self.waiting.extendleft(reversed(list(messages)))

    def pump(self) -> None:
        while self.waiting:
            reader = self._next_reader()
            if reader is None:
                return
            reader.hand_over(self.waiting.popleft())

    def _next_reader(self) -> Subscription | None:
        for _ in range(len(self.readers)):
            reader = self.readers[0]
            self.readers.rotate(-1)
            if reader.has_credit:
                return reader
        return None
