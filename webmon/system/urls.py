from django.urls import path

from webmon.system import views

urlpatterns = [
    path("", views.system, name="system"),
    path("discrepancies/", views.discrepancies, name="discrepancies"),
    path("listener/", views.listener, name="listener"),
    path("rejected/", views.rejected_list, name="rejected messages"),
    path("rejected/<int:message>/", views.rejected, name="rejected message"),
    path("rejected/<int:message>/replay/", views.replay, name="replay message"),
    path("rejected/<int:message>/replay_like/", views.replay_like, name="replay messages"),
    path("rejected/<int:message>/discard/", views.discard, name="discard message"),
]
