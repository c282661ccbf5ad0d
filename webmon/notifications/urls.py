from django.urls import path

from webmon.notifications import views

urlpatterns = [
    path("", views.notifications, name="notifications"),
    path("new/", views.new_recipient, name="new recipient"),
    path("<int:recipient>/", views.recipient, name="recipient"),
    path("<int:recipient>/test/", views.test, name="test recipient"),
    path("<int:recipient>/on/", views.switch_on, name="switch recipient on"),
    path("<int:recipient>/off/", views.switch_off, name="switch recipient off"),
    path("<int:recipient>/remove/", views.remove, name="remove recipient"),
]
