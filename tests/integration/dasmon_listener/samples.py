"""Samples as the listener writes them."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from dasmon_listener.domain.alarm_rules import Sample
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Series
from workflow_manager.models import Instrument

_LATEST = """
INSERT INTO dasmon_latest (series_id, at, received_at, value, text)
SELECT series_id, at, at, value, text FROM dasmon_sample WHERE series_id = %(series)s
ORDER BY at DESC LIMIT 1
ON CONFLICT (series_id) DO UPDATE SET at = excluded.at, received_at = excluded.received_at,
    value = excluded.value, text = excluded.text
"""


def series_of(instrument: Instrument, name: str, kind: Kind = Kind.PV) -> Series:
    return Series.objects.get_or_create(instrument=instrument, name=name, kind=kind.value)[0]


def keep(series: Series, samples: Iterable[Sample]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY dasmon_sample (series_id, at, value, text) FROM STDIN") as copy:
            for at, value, text in samples:
                copy.write_row((series.id, at, value, text))
        cursor.execute(_LATEST, {"series": series.id})


def keep_one(series: Series, at: datetime, value: float | str | None) -> None:
    is_text = isinstance(value, str)
    keep(series, [Sample(at, None, value) if is_text else Sample(at, value)])  # type: ignore[arg-type]
