"""Routes, site queues, batches, leases, agents: the whole job ledger."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# The jobs that wait for a report get a lease, but for those that were moved in: their system
# answers for them.
_FILL = """
UPDATE workflow_job AS job SET
    instrument_id = run.instrument_id,
    lease_until = CASE
        WHEN job.phase < 3 AND NOT EXISTS (
            SELECT 1 FROM workflow_imported_run AS imported WHERE imported.run_id = job.run_id
        )
        THEN now() + interval '10 minutes'
    END
FROM workflow_run AS run WHERE run.id = job.run_id;
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("workflow_manager", "0002_moving_in"),
    ]

    operations = [
        migrations.CreateModel(
            name="Agent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.TextField(
                        help_text="the host's name, as its reports carry it", unique=True
                    ),
                ),
                ("pid", models.TextField(db_default="", default="")),
                (
                    "slots",
                    models.PositiveIntegerField(
                        help_text="jobs at once; older agents do not tell", null=True
                    ),
                ),
                (
                    "first_seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "lost_at",
                    models.DateTimeField(
                        help_text="since when its jobs were given to others", null=True
                    ),
                ),
            ],
            options={
                "db_table": "workflow_agent",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "step",
                    models.TextField(help_text="a step, or `all` for everything after data ready"),
                ),
                ("description", models.TextField(help_text="which runs were wanted, in words")),
                ("requested_by", models.TextField()),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("priority", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("cancelled", "Cancelled"),
                            ("sent", "Sent"),
                        ],
                        default="running",
                    ),
                ),
                ("runs", models.PositiveIntegerField(help_text="how many runs were asked for")),
                (
                    "requested_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "state_changed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("state_changed_by", models.TextField(db_default="", default="")),
            ],
            options={
                "db_table": "workflow_batch",
                "ordering": ["-requested_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="Discrepancy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField(help_text="the run's")),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("file without run", "File Without Run"),
                            ("run without file", "Run Without File"),
                            ("number missing", "Number Missing"),
                        ]
                    ),
                ),
                ("data_file", models.TextField(db_default="", default="")),
                (
                    "found_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("settled_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "discrepancies",
                "db_table": "workflow_discrepancy",
            },
        ),
        migrations.CreateModel(
            name="ManagerProcess",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField(help_text="host and process number", unique=True)),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "is_connected",
                    models.BooleanField(db_default=False, default=False, help_text="to the broker"),
                ),
                (
                    "handled",
                    models.PositiveBigIntegerField(
                        db_default=0, default=0, help_text="messages so far"
                    ),
                ),
                ("last_message_at", models.DateTimeField(null=True)),
                (
                    "lag_seconds",
                    models.FloatField(
                        help_text="age of the newest message when recorded", null=True
                    ),
                ),
            ],
            options={
                "db_table": "workflow_manager_process",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Queue",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField(unique=True)),
                (
                    "is_workflow_input",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="whether the workflow manager subscribes to it",
                    ),
                ),
            ],
            options={
                "db_table": "workflow_queue",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Route",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("queue", models.TextField(help_text="what the message arrives on")),
                (
                    "targets",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "success_queues",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("task_class", models.TextField(blank=True, db_default="", default="")),
                ("changed_by", models.TextField(blank=True, db_default="", default="")),
                (
                    "changed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "workflow_route",
                "ordering": ["instrument__name", "queue"],
            },
        ),
        migrations.AddField(
            model_name="instrument",
            name="jobs_in_flight",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="how many jobs may be with the broker and the agents at once; empty: no limit",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="cancelled_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="held_body",
            field=models.JSONField(help_text="what to send, if not made from the run", null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="workflow_manager.instrument",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="is_held",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="job",
            name="lease_until",
            field=models.DateTimeField(help_text="empty when no report is awaited", null=True),
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="job",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="workflow_manager.instrument",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="priority",
            field=models.PositiveSmallIntegerField(db_default=4, default=4),
        ),
        migrations.AddField(
            model_name="job",
            name="reason",
            field=models.TextField(db_default="", default="", help_text="why it was asked for"),
        ),
        migrations.AddField(
            model_name="job",
            name="recoveries",
            field=models.PositiveSmallIntegerField(
                db_default=0, default=0, help_text="how often in a row it was sent again by itself"
            ),
        ),
        migrations.AddField(
            model_name="outboxmessage",
            name="priority",
            field=models.PositiveSmallIntegerField(db_default=4, default=4),
        ),
        migrations.AddField(
            model_name="rejectedmessage",
            name="outcome",
            field=models.TextField(
                choices=[("open", "Open"), ("replayed", "Replayed"), ("discarded", "Discarded")],
                db_default="open",
                default="open",
            ),
        ),
        migrations.AddField(
            model_name="rejectedmessage",
            name="outcome_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="rejectedmessage",
            name="outcome_by",
            field=models.TextField(db_default="", default=""),
        ),
        migrations.AddField(
            model_name="rejectedmessage",
            name="outcome_reason",
            field=models.TextField(db_default="", default=""),
        ),
        migrations.AlterField(
            model_name="job",
            name="step",
            field=models.TextField(help_text="of `domain.steps`, or of a queue that a route names"),
        ),
        migrations.AddIndex(
            model_name="rejectedmessage",
            index=models.Index(
                condition=models.Q(("outcome", "open")),
                fields=["-received_at", "-id"],
                name="rejected_open",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="workflow_manager.batch",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("phase", 5)),
                fields=["instrument", "step", "-ended_at"],
                name="job_newest_done",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)),
                fields=["instrument", "lease_until"],
                name="job_in_flight",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("batch", None), ("is_held", True)),
                fields=["instrument", "-priority", "id"],
                name="job_held",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("batch__isnull", False), ("is_held", True)),
                fields=["batch", "instrument", "id"],
                name="job_held_of_batch",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)),
                fields=["batch", "phase"],
                name="job_of_batch",
            ),
        ),
        migrations.AddField(
            model_name="discrepancy",
            name="instrument",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="workflow_manager.instrument",
            ),
        ),
        migrations.AddField(
            model_name="route",
            name="instrument",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="routes",
                to="workflow_manager.instrument",
            ),
        ),
        migrations.AddConstraint(
            model_name="discrepancy",
            constraint=models.UniqueConstraint(
                fields=("instrument", "number", "kind"), name="discrepancy_identity"
            ),
        ),
        migrations.AddConstraint(
            model_name="route",
            constraint=models.UniqueConstraint(
                fields=("instrument", "queue"), name="route_identity"
            ),
        ),
    ]
