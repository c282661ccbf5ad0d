"""Callers beside each other: no error, no duplicate, the newest value is the newest."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.integration.dasmon_listener.functions.conftest import Link
from tests.integration.dasmon_listener.functions.test_pv_update import THEN, ask

CALLERS = 8
NAMES = [f"PV{number}" for number in range(30)]
ROUNDS = 4


def together(connect: Callable[[], Link], work: Callable[[int, Link], None]) -> None:
    """Each caller does the work on a connection of its own, all from the same moment."""
    links = [connect() for _ in range(CALLERS)]
    start = Barrier(CALLERS)

    def called(number: int) -> None:
        start.wait(timeout=20)
        work(number, links[number])

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(called, range(CALLERS)))


def moment(caller: int, round_number: int) -> int:
    """Times that overlap, the largest of all by caller 3 in round 1."""
    return THEN + (1000 if (caller, round_number) == (3, 1) else caller * ROUNDS + round_number)


def test_new_names_in_singles_texts_and_batches(connect: Callable[[], Link]) -> None:
    def work(caller: int, link: Link) -> None:
        for round_number in range(ROUNDS):
            at, value = moment(caller, round_number), caller * 100 + round_number
            # Every caller in another order, and unknown instruments among them.
            names = NAMES[caller:] + NAMES[:caller]
            if caller % 4 == 1:
                names.reverse()
            if caller % 2:
                entries = [
                    {"instrument": instrument, "name": name, "value": value, "timestamp": at}
                    for name in names
                    for instrument in ("HYS", "NOWHERE")
                ]
                assert link.execute("SELECT pvUpdateBatch(%s)", [json.dumps(entries)]).fetchone()
                continue
            for name in names:
                ask(link, f"select pvUpdate('HYS'::text,'{name}',{value},0,{at})")
                ask(link, f"select pvStringUpdate(NULL,'{name}','{value}',0,{at})")

    together(connect, work)
    das = connect()
    newest = "3" + "01"
    rows = ask(
        das,
        "SELECT s.instrument_id IS NULL, s.name, coalesce(l.value, l.text::float8)::int::text,"
        " extract(epoch FROM l.at)::int FROM dasmon_latest l"
        " JOIN dasmon_series s ON s.id = l.series_id ORDER BY 1, 2",
    )
    wanted = [(known, name, newest, THEN + 1000) for known in (False, True) for name in NAMES]
    assert rows == sorted(wanted)
    assert ask(das, "SELECT count(*) FROM dasmon_series") == [(len(rows),)]
    counts = ask(das, "SELECT DISTINCT count(*) FROM dasmon_sample GROUP BY series_id")
    assert counts == [(CALLERS * ROUNDS,)]


def test_of_lists_at_the_same_time_one_holds(connect: Callable[[], Link]) -> None:
    def work(caller: int, link: Link) -> None:
        for _ in range(10):
            names = [f"{caller} {number}" for number in range(5)]
            link.execute("SELECT setInstrumentPVs('HYS', %s)", [["common", *names]])

    together(connect, work)
    das = connect()
    names = [name for (name,) in ask(das, "SELECT name FROM dasmon_monitored_pv ORDER BY position")]
    caller = names[-1].split()[0]
    assert names == ["common", *(f"{caller} {number}" for number in range(5))]


def test_a_transaction_that_stays_open_holds_up_one_pv_only(
    connect: Callable[[], Link],
) -> None:
    slow, das = connect(), connect()
    slow.execute("BEGIN")
    ask(slow, "select pvUpdate('HYS'::text,'A',1,0,1771500000)")
    das.execute("SET lock_timeout = '2s'")
    ask(das, "select pvUpdate('HYS'::text,'B',1,0,1771500000)")
    ask(das, "select pvUpdate('ARCS'::text,'A',1,0,1771500000)")
    slow.execute("ROLLBACK")
    assert len(ask(das, "SELECT * FROM dasmon_latest")) == 2
