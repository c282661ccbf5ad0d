"""The addresses of the plot store, below `/plots/`; the first five are other systems' contract."""

from django.urls import re_path

from livedata import pages, views

app_name = "livedata"

NAME = r"(?P<instrument>[\w-]+)"
RUN = rf"{NAME}/(?P<run>[0-9]+)"

urlpatterns = [
    re_path(rf"^{RUN}/update/html/$", views.read_html, name="read_html"),
    re_path(rf"^{RUN}/update/json/$", views.read_json, name="read_json"),
    re_path(rf"^{RUN}/upload_plot_data/$", views.upload_plot, name="upload_plot"),
    re_path(rf"^{NAME}/upload_user_data/$", views.upload_user_data, name="upload_user_data"),
    re_path(rf"^{NAME}/list/$", views.list_streams, name="list"),
    re_path(rf"^{RUN}/history/$", pages.history, name="history"),
    re_path(rf"^{RUN}/history/(?P<index>[0-9]+)/$", pages.message, name="message"),
    re_path(rf"^{RUN}/figure/$", pages.figure, name="figure"),
]
