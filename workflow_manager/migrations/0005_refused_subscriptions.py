"""What the workflow manager wants to read and the broker does not grant."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflow_manager", "0004_event_partitions"),
    ]

    operations = [
        migrations.CreateModel(
            name="RefusedSubscription",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("destination", models.TextField(unique=True)),
                (
                    "reason",
                    models.TextField(
                        help_text="in the broker's words, or ours where the name is unfit"
                    ),
                ),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "workflow_refused_subscription",
                "ordering": ["destination"],
            },
        ),
    ]
