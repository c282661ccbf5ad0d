from django.urls import path

from webmon.runs import views
from webmon.runs.wishes import WISHES

urlpatterns = [
    path("", views.home, name="front"),
    path("dasmon/", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("report/", views.run_list, name="all runs"),
    path("report/<str:instrument>/", views.run_list, name="runs"),
    path("report/<str:instrument>/<int:number>/", views.run, name="run"),
    *(
        path(
            f"report/<str:instrument>/<int:number>/{wish.address}/",
            views.request_step,
            {"wish": wish},
            name=wish.route,
        )
        for wish in WISHES
    ),
]
