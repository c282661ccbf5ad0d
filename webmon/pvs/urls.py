from django.urls import path

from webmon.pvs import views
from webmon.pvs.downloads import FORMS

urlpatterns = [
    path("<str:instrument>/", views.explorer, name="pvs"),
    path("<str:instrument>/series/", views.series, name="pv series"),
    path("<str:instrument>/names/", views.name_list, name="pv names"),
    path("<str:instrument>/update/", views.update, name="pv update"),
    *(
        path(f"<str:instrument>/export.{form}", views.export, {"form": form}, name=f"pv {form}")
        for form in FORMS
    ),
]
