"""The plot store alone, at its address."""

from django.urls import include, path

urlpatterns = [path("plots/", include("livedata.urls"))]
