from django.urls import path

from webmon.batches import views

urlpatterns = [
    path("", views.batch_list, name="batches"),
    path("new/", views.new_batch, name="new batch"),
    path("<int:batch>/", views.batch, name="batch"),
    path("<int:batch>/pause/", views.pause, name="pause batch"),
    path("<int:batch>/resume/", views.resume, name="resume batch"),
    path("<int:batch>/cancel/", views.cancel, name="cancel batch"),
    path("<int:batch>/retry/", views.retry, name="retry batch"),
]
