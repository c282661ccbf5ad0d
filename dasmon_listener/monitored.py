"""Which PVs an instrument's page shows: chosen there, or by the data acquisition."""

from collections.abc import Sequence

from django.db import connection

from workflow_manager.models import Instrument


def choose_pvs(instrument: Instrument, names: Sequence[str]) -> None:
    """Show these PVs, in this order, and no others.

    It is the function that the data acquisition calls: PVs that stay keep their rule, and one
    that has no value yet is shown when it has.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT setInstrumentPVs(%s, %s::text[])", [instrument.name, list(names)])
