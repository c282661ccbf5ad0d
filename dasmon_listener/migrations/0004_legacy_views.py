"""The replaced system's tables of values, PVs and signals, as read-only views."""

from pathlib import Path

from django.db import migrations

_VIEWS = Path(__file__).parents[1] / "sql" / "legacy_views.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("dasmon_listener", "0003_functions"),
        ("workflow_manager", "0005_refused_subscriptions"),
    ]

    operations = [
        migrations.RunSQL(_VIEWS.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
