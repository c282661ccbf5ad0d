"""The Celery application: what may wait is done by its workers."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmon.settings")

app = Celery("webmon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
