"""How fast an old installation moves in, beside COPY of the same statuses on the same server.

python -m benchmarks.moving_in --runs 100000        ten statuses a run: a million
"""

import argparse
import io
import sys
import time

from benchmarks.result import Result, table
from tests.postgres import provide

_STATUSES_A_RUN = 10
_STAGED = (
    "COPY (SELECT id, run_id_id, queue_id_id, message_id, created_on FROM report_runstatus)"
    " TO STDOUT"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.moving_in", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    result = measure(parser.parse_args().runs)
    print(table([result]))
    return 0 if result.is_met else 1


def measure(runs: int) -> Result:
    """Statuses a second, from the first byte read there to the last count compared."""
    provide()
    # Django reads its settings, and with them the database, when it is first imported.
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from tests.integration.workflow_manager.old_system import old_database  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    parameters = connection.get_connection_params()
    server = {name: parameters[name] for name in ("host", "port", "user", "password")}
    with old_database(server, "webmon_benchmark_old_system") as old:
        old.fill(runs)
        limit = _copy(old.link, runs * _STATUSES_A_RUN)
        started = time.perf_counter()
        call_command("import_webmon", address=old.address)
        seconds = time.perf_counter() - started
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflow_event")
        (events,) = cursor.fetchone()
    return Result(
        bar="moving in",
        what=f"statuses imported, with jobs and phases, in {seconds:.0f} s (limit: COPY)",
        ours=events / seconds,
        limit=limit,
        unit="statuses/s",
        lost=runs * _STATUSES_A_RUN - events,
        needed=3_000,
    )


def _copy(link: object, statuses: int) -> float:
    """Statuses a second into a bare table, without index and constraint."""
    import psycopg  # noqa: PLC0415

    assert isinstance(link, psycopg.Connection)
    blocks = io.BytesIO()
    with link.cursor() as cursor, cursor.copy(_STAGED) as copy:
        for block in copy:
            blocks.write(block)
    started = time.perf_counter()
    link.execute("CREATE TABLE bare (id int, run int, queue int, message text, at timestamptz)")
    with link.cursor() as cursor, cursor.copy("COPY bare FROM STDIN") as copy:
        copy.write(blocks.getvalue())
    seconds = time.perf_counter() - started
    link.execute("DROP TABLE bare")
    return statuses / seconds


if __name__ == "__main__":
    sys.exit(main())
