"""All addresses of the web monitor; those of the system that it replaces keep working."""

from django.contrib import admin
from django.urls import include, path

from webmon.accounts import views as accounts
from webmon.alarms import views as alarms
from webmon.push import views as push
from webmon.system import views as system
from webmon.ui import views as ui

urlpatterns = [
    # Before those of runs: /dasmon/notifications/ is no instrument.
    path("dasmon/notifications/", include("webmon.notifications.urls")),
    path("alarms/", include("webmon.alarms.urls")),
    path(
        "dasmon/<str:instrument>/signals/ack/<int:signal>/",
        alarms.acknowledge_signal,
        name="acknowledge signal",
    ),
    path("pvmon/", include("webmon.pvs.urls")),
    path("dasmon/", include("webmon.status.urls")),
    path("", include("webmon.runs.urls")),
    path("users/", include("webmon.accounts.urls")),
    path("system/batches/", include("webmon.batches.urls")),
    path("system/", include("webmon.system.urls")),
    path("plots/", include("livedata.urls")),
    path("events/", push.events, name="events"),
    path("ht/", system.health, name="health"),
    path("database/login/", accounts.database_log_in),
    path("database/", admin.site.urls),
    path("favicon.ico", ui.favicon),
    path("robots.txt", ui.robots),
]

handler403 = "webmon.ui.views.forbidden"
handler404 = "webmon.ui.views.not_found"
handler500 = "webmon.ui.views.server_error"
