"""The tables of samples and rollups, with partitions for now; the daemon makes the later ones."""

from pathlib import Path

from django.db import migrations

_HISTORY = Path(__file__).parents[1] / "sql" / "history.sql"

_FIRST = """
DO $$
DECLARE
    day date;
    month date;
BEGIN
    FOR ahead IN -1..7 LOOP
        day := (now() AT TIME ZONE 'UTC')::date + ahead;
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF dasmon_sample FOR VALUES FROM (%L) TO (%L)',
            'dasmon_sample_' || to_char(day, 'YYYY_MM_DD'),
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
        );
    END LOOP;
    FOR ahead IN -1..2 LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * interval '1 month';
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF dasmon_minute FOR VALUES FROM (%L) TO (%L)',
            'dasmon_minute_' || to_char(month, 'YYYY_MM'),
            month::timestamp AT TIME ZONE 'UTC',
            (month + interval '1 month')::timestamp AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$;
"""

_DROP = "DROP TABLE dasmon_sample, dasmon_minute, dasmon_hour"


class Migration(migrations.Migration):
    dependencies = [("dasmon_listener", "0001_listener")]

    operations = [
        migrations.RunSQL(_HISTORY.read_text(encoding="utf-8") + _FIRST, reverse_sql=_DROP),
    ]
