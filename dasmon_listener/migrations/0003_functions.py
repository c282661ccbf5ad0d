"""The functions that data acquisition calls in the database."""

from pathlib import Path

from django.db import migrations

_FUNCTIONS = Path(__file__).parents[1] / "sql" / "functions.sql"


class Migration(migrations.Migration):
    dependencies = [("dasmon_listener", "0002_history")]

    operations = [
        migrations.RunSQL(_FUNCTIONS.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
