"""What was moved in from the replaced system, and its tables as read-only views."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

_VIEWS = Path(__file__).parents[1] / "sql" / "legacy_views.sql"
_UNDO = """
DROP INDEX IF EXISTS event_of_unknown_queue;
DROP SCHEMA IF EXISTS legacy CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("workflow_manager", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["received_at"], name="event_newest"),
        ),
        migrations.CreateModel(
            name="ImportedRun",
            fields=[
                ("source_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("statuses", models.PositiveIntegerField()),
                ("recorded", models.PositiveIntegerField(default=0)),
                ("recorded_information", models.PositiveIntegerField(default=0)),
                ("recorded_errors", models.PositiveIntegerField(default=0)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workflow_manager.run",
                    ),
                ),
            ],
            options={
                "db_table": "workflow_imported_run",
            },
        ),
        migrations.RunSQL(_VIEWS.read_text(encoding="utf-8"), _UNDO),
    ]
