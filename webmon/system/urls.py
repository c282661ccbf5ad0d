from django.urls import path

from webmon.system import views

urlpatterns = [
    path("rejected/", views.rejected_list, name="rejected messages"),
    path("rejected/<int:message>/", views.rejected, name="rejected message"),
]
