import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# Plots are long texts: lz4, where the server has it, costs it less time than its default.
COMPRESSION = """
DO $$ BEGIN
    ALTER TABLE livedata_message ALTER content SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: plots are compressed more slowly';
END $$
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Stream",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instrument", models.TextField(help_text="lower case")),
                ("run_number", models.BigIntegerField()),
                (
                    "name",
                    models.TextField(
                        db_default="plot", default="plot", help_text="what is published"
                    ),
                ),
                ("data_id", models.TextField(help_text="only of a user's data", null=True)),
                ("last_index", models.BigIntegerField(db_default=0, default=0)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("expires_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "livedata_stream",
                "indexes": [
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="stream_expiry",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("instrument", "run_number", "name"), name="stream_identity"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("data_id__isnull", False)),
                        fields=("instrument", "data_id", "name"),
                        name="stream_of_user",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StreamMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("index", models.BigIntegerField(help_text="consecutive from 1")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("metadata", models.JSONField()),
                ("size", models.BigIntegerField(help_text="bytes")),
                ("content", models.BinaryField()),
                (
                    "stream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="livedata.stream",
                    ),
                ),
            ],
            options={
                "db_table": "livedata_message",
                "constraints": [
                    models.UniqueConstraint(fields=("stream", "index"), name="message_identity")
                ],
            },
        ),
        migrations.RunSQL(COMPRESSION, migrations.RunSQL.noop),
    ]
