"""Who is missed, and that nobody is while we do not hear ourselves. The clock is the test's."""

import pytest

from workflow_manager.domain.presence import MOST_AGENTS, Presence, Silence

OURS = Silence("ours", 25.0)
OLD = Silence("old", 65.0)


class Room:
    """A manager that hears itself each 5 s and its pings each 10 s."""

    def __init__(self) -> None:
        self.presence = Presence()
        self.now = 0.0

    def run(self, seconds: int, *, deaf: bool = False, mute: bool = False) -> None:
        """Let time pass; `deaf` hears nothing, `mute` hears no pings."""
        for _ in range(seconds):
            self.now += 1.0
            if self.now % 5 == 0 and not deaf:
                self.presence.hear_ourselves(self.now)
            if self.now % 10 == 0 and not deaf and not mute:
                self.presence.hear_ping(self.now)

    def answer(self, name: str, slots: int | None) -> None:
        self.presence.hear(name, "1", slots, self.now, is_answer=True)

    def beat(self, name: str, slots: int | None = None) -> None:
        self.presence.hear(name, "1", slots, self.now, is_answer=False)

    @property
    def silent(self) -> list[Silence]:
        return self.presence.silent(self.now)


@pytest.fixture
def room() -> Room:
    room = Room()
    room.run(20)
    room.answer("ours", 4)
    room.beat("old")
    return room


def test_an_agent_that_answers_pings_is_missed_after_25_seconds(room: Room) -> None:
    room.run(25)
    assert room.silent == []
    room.run(1)
    assert room.silent == [OURS]


def test_an_older_agent_at_work_answers_nothing_and_is_missed_after_two_beats(room: Room) -> None:
    room.answer("old", None)
    for _ in range(4):
        room.run(31)
        room.beat("old")
        assert OLD not in room.silent
    room.run(65)
    assert OLD not in room.silent
    room.run(1)
    assert OLD in room.silent


def test_nobody_is_missed_while_we_are_deaf_and_the_clock_starts_anew_after(room: Room) -> None:
    """F11: a half-open connection, a broker that is away."""
    room.run(300, deaf=True)
    assert room.silent == []
    room.run(25)
    assert room.silent == []
    room.run(11)
    assert room.silent == [OURS]


def test_a_process_that_was_frozen_infers_nothing_from_its_own_sleep(room: Room) -> None:
    """F6: the clock jumps, and what was sent meanwhile is heard all at once."""
    room.now += 60
    assert room.silent == []
    room.presence.hear_ourselves(room.now)
    room.presence.hear_ping(room.now)
    assert room.silent == []


def test_an_agent_that_nobody_asked_is_judged_by_its_own_beats(room: Room) -> None:
    room.run(40, mute=True)
    assert room.silent == []
    room.run(26, mute=True)
    assert Silence("ours", 65.0) in room.silent


def test_a_heartbeat_of_an_agent_that_answers_counts_as_well(room: Room) -> None:
    room.run(24)
    room.beat("ours", 4)
    room.run(20)
    assert room.silent == []
    room.run(6)
    assert room.silent == [OURS]


def test_an_older_agent_that_takes_the_place_of_one_of_ours_has_its_time(room: Room) -> None:
    room.beat("ours")
    room.run(60)
    assert Silence("ours", 25.0) not in room.silent
    room.run(6)
    assert Silence("ours", 65.0) in room.silent


def test_one_that_speaks_again_is_alive(room: Room) -> None:
    room.run(30)
    assert room.silent == [OURS]
    room.answer("ours", 4)
    assert room.silent == []


def test_those_with_jobs_are_expected_from_now_on() -> None:
    room = Room()
    room.run(20)
    room.presence.expect([("gone", 2), ("gone-old", None)], room.now)
    room.run(25)
    assert room.silent == []
    room.run(1)
    assert room.silent == [Silence("gone", 25.0)]
    room.presence.expect([("gone", 2)], room.now)
    assert room.silent == [Silence("gone", 25.0)]


def test_strangers_cannot_fill_the_memory(room: Room) -> None:
    for number in range(3 * MOST_AGENTS):
        room.beat(f"stranger{number}")
    assert len(room.presence.news()) == MOST_AGENTS
    assert room.presence.refused == 2 * MOST_AGENTS + 2
    room.run(3700)
    room.beat("newcomer")
    assert [each.name for each in room.presence.news()] == ["newcomer"]


def test_news_are_told_once_unless_they_could_not_be_written(room: Room) -> None:
    news = room.presence.news()
    assert [(each.name, each.slots) for each in news] == [("old", None), ("ours", 4)]
    assert room.presence.news() == []
    room.presence.tell_again(news)
    assert room.presence.news() == news
