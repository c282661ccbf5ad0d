from django.urls import path

from webmon.alarms import views

urlpatterns = [
    path("", views.alarm_list, name="alarms"),
    path("count/", views.count, name="alarm count"),
    path("acknowledge/", views.acknowledge, name="acknowledge alarms"),
    path("shelve/", views.shelve, name="shelve alarms"),
    path("unshelve/", views.unshelve, name="unshelve alarms"),
    path("history/", views.history, name="alarm history"),
    path("<int:alarm>/", views.alarm, name="alarm"),
    path("<int:alarm>/describe/", views.describe, name="describe alarm"),
]
