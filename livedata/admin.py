"""Read-only lists of streams for administrators."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from livedata.models import Stream

if TYPE_CHECKING:  # generic for the type checker only
    _Admin = admin.ModelAdmin[Stream]
else:
    _Admin = admin.ModelAdmin


@admin.register(Stream)
class StreamAdmin(_Admin):
    list_display = ("instrument", "run_number", "name", "data_id", "last_index", "expires_at")
    search_fields = ("instrument", "=run_number")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Stream | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Stream | None = None) -> bool:
        return False
