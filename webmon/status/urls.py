from django.urls import path
from django.views.generic import RedirectView

from webmon.status import views

urlpatterns = [
    # The other overviews of the replaced system; they are names of no instrument.
    path("dashboard/", RedirectView.as_view(pattern_name="home")),
    path("expert/", RedirectView.as_view(pattern_name="home")),
    path("summary/", RedirectView.as_view(pattern_name="all runs")),
    path("update/", views.summary_update),
    path("dashboard/update/", views.dashboard_update),
    path("common/diagnostics/", RedirectView.as_view(pattern_name="system")),
    path("<str:instrument>/", views.status, name="status"),
    path("<str:instrument>/pvs/", views.chosen_pvs, name="chosen PVs"),
    path("<str:instrument>/update/", views.instrument_update),
    path("<str:instrument>/signals/", views.signals),
    path("<str:instrument>/runs/", views.runs),
    path("<str:instrument>/diagnostics/", views.diagnostics),
]
