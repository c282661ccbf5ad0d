"""All queues and topics of one broker: who gets what. Pure, no I/O."""

import uuid
from collections.abc import Callable, Mapping
from itertools import count

from workflow_manager.broker.embedded.destinations import Destination, matches, parse
from workflow_manager.broker.embedded.memory import Memory, MemoryFullError
from workflow_manager.broker.embedded.queues import AckMode, Message, Queue, Subscription

MAX_DELIVERIES = 10
DEAD_LETTERS = "DLQ"
UNLIMITED_PREFETCH = 1000  # what a subscription without a wish gets


def target_of(destination: str) -> Destination:
    """Where a message with this destination goes.

    Raises:
        ValueError: it is no name to send to.
    """
    target = parse(destination)
    if target.is_wildcard:
        raise ValueError(f"cannot send to a wildcard: {destination!r}")
    return target


class Switchboard:
    """Routes messages to subscriptions.

    Args:
        max_deliveries: failed deliveries after which a message is parked in `DLQ`.
        memory: how many bytes all messages together may have.
    """

    def __init__(self, max_deliveries: int = MAX_DELIVERIES, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.queues: dict[str, Queue] = {}
        self._max_deliveries = max_deliveries
        self._topic_readers: list[Subscription] = []
        self._queue_patterns: list[Subscription] = []
        self._boot = uuid.uuid4().hex[:12]
        self._numbers = count(1)

    def send(
        self,
        destination: str,
        headers: Mapping[str, str],
        body: bytes,
        is_persistent: bool,
        *,
        may_drop: bool = False,
    ) -> None:
        """Route one message.

        Args:
            may_drop: nobody waits for word of it: on a topic without room it is dropped.

        Raises:
            ValueError: the destination is no name to send to.
            MemoryFullError: there is no room.
        """
        target = target_of(destination)
        message = Message(self._new_id(), destination, dict(headers), body, is_persistent)
        if not self.has_room(message.size):
            if target.is_topic and may_drop:
                return
            raise MemoryFullError(self._account(destination, message.size))
        if target.is_topic:
            for reader in self._topic_readers:
                if matches(reader.pattern, target.name):
                    reader.offer(message)
        else:
            self.queue(target.name).put(message)

    def reserve(self, destination: str, size: int) -> None:
        """Account for a message that is not sent yet; the caller gives its room back.

        Raises:
            MemoryFullError: there is none.
        """
        if not self.has_room(size):
            raise MemoryFullError(self._account(destination, size))
        self.memory.used += size

    def has_room(self, size: int) -> bool:
        """Tell whether a message fits; what waits for slow readers of topics goes first."""
        for reader in self._topic_readers:
            while reader.backlog and not self.memory.fits(size):
                reader.drop_oldest()
        return self.memory.fits(size)

    def _account(self, destination: str, size: int) -> str:
        return (
            f"the broker is full: no room for {size} bytes to {destination!r}, messages already "
            f"take {self.memory.used} of {self.memory.limit} bytes"
        )

    def queue(self, name: str) -> Queue:
        """The queue of that name, made at its first mention."""
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = Queue(name, self.memory)
            for reader in self._queue_patterns:
                if matches(reader.pattern, name):
                    self._attach(reader, found)
        return found

    def subscribe(
        self,
        *,
        name: str,
        destination: str,
        mode: AckMode,
        prefetch: int,
        deliver: Callable[[Subscription, Message], None],
        is_blocked: Callable[[], bool] = lambda: False,
    ) -> Subscription:
        """Add a reader and give it what waits; prefetch 0 means one at a time.

        Raises:
            ValueError: the destination has no name.
        """
        target = parse(destination)
        reader = Subscription(
            id=name,
            pattern=target.name,
            is_topic=target.is_topic,
            mode=mode,
            prefetch=max(1, prefetch),
            deliver=deliver,
            memory=self.memory,
            is_blocked=is_blocked,
        )
        if target.is_topic:
            self._topic_readers.append(reader)
        else:
            self._read_queues(reader, target)
        return reader

    def _read_queues(self, reader: Subscription, target: Destination) -> None:
        if target.is_wildcard:
            self._queue_patterns.append(reader)
            found = [queue for name, queue in self.queues.items() if matches(target.name, name)]
        else:
            found = [self.queue(target.name)]
        for queue in found:
            self._attach(reader, queue)
        reader.pump()

    def _attach(self, reader: Subscription, queue: Queue) -> None:
        reader.queues.append(queue)
        queue.readers.append(reader)

    def unsubscribe(self, reader: Subscription, *, is_lost: bool) -> None:
        """Remove a reader; what it had comes back to the front.

        Args:
            is_lost: its connection died, so the message it was working on counts as failed.
        """
        for readers in (self._topic_readers, self._queue_patterns):
            if reader in readers:
                readers.remove(reader)
        while reader.backlog:
            reader.take_oldest()
        queues, reader.queues = reader.queues, []
        for queue in queues:
            queue.readers.remove(reader)
        messages = list(reader.unacked.values())
        reader.unacked.clear()
        if is_lost and messages:
            messages[0].failures += 1
        self._return(messages, "the connections of its readers died")
        for queue in queues:
            queue.pump()

    def ack(self, reader: Subscription, message_id: str) -> bool:
        """Forget what is done; False if that message is not waiting for this."""
        settled = reader.settle(message_id)
        for message in settled:
            message.release()
        if settled:
            reader.pump()
        return bool(settled)

    def nack(self, reader: Subscription, message_id: str) -> bool:
        """Give back what could not be done; False if that message is not waiting for this."""
        settled = reader.settle(message_id)
        for message in settled:
            message.failures += 1
        self._return(settled, "its readers refused it")
        reader.pump()
        for queue in {message.queue for message in settled if message.queue is not None}:
            queue.pump()
        return bool(settled)

    def _return(self, messages: list[Message], reason: str) -> None:
        by_queue: dict[Queue, list[Message]] = {}
        for message in messages:
            if message.queue is None:
                continue  # a topic's message is not kept
            if message.failures >= self._max_deliveries:
                self._park(message, reason)
            else:
                by_queue.setdefault(message.queue, []).append(message)
        for queue, returned in by_queue.items():
            queue.put_back(returned)

    def _park(self, message: Message, reason: str) -> None:
        message.headers["original-destination"] = message.destination
        message.headers["dead-letter-reason"] = f"{reason}, {message.failures} times"
        message.failures = 0
        message.wire.clear()
        self.queue(DEAD_LETTERS).put(message)

    def _new_id(self) -> str:
        return f"{self._boot}-{next(self._numbers)}"
