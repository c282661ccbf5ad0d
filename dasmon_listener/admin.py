"""What staff may change in the database: which values are kept, PVs on pages, equipment.

Series are made by what comes under a new name, and there are tens of thousands: they are searched,
and never listed in a drop-down.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from dasmon_listener.models import Equipment, MonitoredPv, Series

if TYPE_CHECKING:  # generic for the type checker only
    _SeriesAdmin = admin.ModelAdmin[Series]
    _MonitoredPvAdmin = admin.ModelAdmin[MonitoredPv]
    _EquipmentAdmin = admin.ModelAdmin[Equipment]
    _MonitoredPvForm = forms.ModelForm[MonitoredPv]
else:
    _SeriesAdmin = _MonitoredPvAdmin = _EquipmentAdmin = admin.ModelAdmin
    _MonitoredPvForm = forms.ModelForm

_ONE_LINE: "dict[type[models.Field[Any, Any]], dict[str, Any]]" = {
    models.TextField: {"widget": forms.TextInput(attrs={"size": 60})}
}


@admin.register(Series)
class SeriesAdmin(_SeriesAdmin):
    """Whether what comes under a name is kept, and its unit."""

    fields = ("instrument", "kind", "name", "unit", "is_recorded", "newest", "created_at")
    readonly_fields = ("instrument", "kind", "name", "newest", "created_at")
    list_display = ("name", "instrument", "kind", "newest", "is_recorded")
    list_editable = ("is_recorded",)
    list_filter = ("kind", "is_recorded", ("instrument", admin.RelatedFieldListFilter))
    list_select_related = ("instrument", "latest")
    list_per_page = 50
    ordering = ("name", "instrument")
    search_fields = ("name",)
    # Counting all of them takes longer than showing fifty.
    show_full_result_count = False
    formfield_overrides = _ONE_LINE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Series | None = None) -> bool:
        return False

    @admin.display(description="newest value")
    def newest(self, series: Series) -> str:
        latest = getattr(series, "latest", None)
        if latest is None:
            return ""
        return (
            f"{latest.value if latest.text is None else latest.text} ({latest.at:%Y-%m-%d %H:%M})"
        )


class MonitoredPvForm(_MonitoredPvForm):
    class Meta:
        model = MonitoredPv
        fields = ("instrument", "name", "position", "rule_name")

    def save(self, commit: bool = True) -> MonitoredPv:
        self.instance.updated_at = timezone.now()
        return super().save(commit)


@admin.register(MonitoredPv)
class MonitoredPvAdmin(_MonitoredPvAdmin):
    """PVs on an instrument's page; the data acquisition's next list replaces them."""

    form = MonitoredPvForm
    list_display = ("instrument", "name", "position", "rule_name", "updated_at")
    list_display_links = ("name",)
    list_filter = ("instrument",)
    list_select_related = ("instrument",)
    ordering = ("instrument", "position")
    search_fields = ("name", "rule_name")
    formfield_overrides = _ONE_LINE


@admin.register(Equipment)
class EquipmentAdmin(_EquipmentAdmin):
    list_display = ("instrument", "is_alive", "is_adara", "has_pvsd", "has_pvstreamer")
    list_editable = ("is_alive", "is_adara", "has_pvsd", "has_pvstreamer")
    list_select_related = ("instrument",)
    search_fields = ("instrument__name",)
