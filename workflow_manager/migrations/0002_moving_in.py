"""What was moved in from the replaced system."""

import django.db.models.deletion
from django.db import migrations, models


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
    ]
