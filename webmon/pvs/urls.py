from django.urls import path

from webmon.pvs import views

urlpatterns = [
    path("<str:instrument>/", views.explorer, name="pvs"),
    path("<str:instrument>/series/", views.series, name="pv series"),
    path("<str:instrument>/names/", views.name_list, name="pv names"),
]
