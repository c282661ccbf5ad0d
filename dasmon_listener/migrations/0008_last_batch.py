"""The mark of the last batch that a listener wrote, by which it knows whether it was written."""

from django.db import migrations

_TABLE = """
CREATE TABLE dasmon_last_batch (
    id smallint PRIMARY KEY CHECK (id = 1),
    mark uuid NOT NULL
) WITH (fillfactor = 10);
"""


class Migration(migrations.Migration):
    dependencies = [("dasmon_listener", "0007_many_at_once")]

    operations = [migrations.RunSQL(_TABLE, reverse_sql="DROP TABLE dasmon_last_batch;")]
