from django.urls import path

from webmon.alarms import rule_views, views

urlpatterns = [
    path("", views.alarm_list, name="alarms"),
    path("count/", views.count, name="alarm count"),
    path("acknowledge/", views.acknowledge, name="acknowledge alarms"),
    path("shelve/", views.shelve, name="shelve alarms"),
    path("unshelve/", views.unshelve, name="unshelve alarms"),
    path("history/", views.history, name="alarm history"),
    path("<int:alarm>/", views.alarm, name="alarm"),
    path("<int:alarm>/describe/", views.describe, name="describe alarm"),
    path("<int:alarm>/close/", views.close, name="close alarm"),
    path("rules/", rule_views.rule_list, name="alarm rules"),
    path("rules/new/", rule_views.new_rule, name="new alarm rule"),
    path("rules/names/", rule_views.names, name="alarm rule names"),
    path("rules/preview/", rule_views.preview, name="alarm rule preview"),
    path("rules/<int:rule>/", rule_views.rule, name="alarm rule"),
    path("rules/<int:rule>/enable/", rule_views.enable, name="enable alarm rule"),
    path("rules/<int:rule>/disable/", rule_views.disable, name="disable alarm rule"),
    path("rules/<int:rule>/delete/", rule_views.delete, name="delete alarm rule"),
]
