"""What staff may change in the database: routes, queues of the site, limits of instruments.

Runs, jobs and events are written by the workflow manager only, and are not here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workflow_manager import queues, routes
from workflow_manager.models import Instrument, Queue, Route
from workflow_manager.queues import RoutingError
from workflow_manager.routes import Consequence

if TYPE_CHECKING:  # generic for the type checker only
    _InstrumentAdmin = admin.ModelAdmin[Instrument]
    _QueueAdmin = admin.ModelAdmin[Queue]
    _RouteAdmin = admin.ModelAdmin[Route]
    _QueueForm = forms.ModelForm[Queue]
    _RouteForm = forms.ModelForm[Route]
else:
    _InstrumentAdmin = _QueueAdmin = _RouteAdmin = admin.ModelAdmin
    _QueueForm = _RouteForm = forms.ModelForm

PREVIEW = "_preview"
_UNFIT = "is_unfit"  # marks a route whose targets were refused, and are not those of the form


class RouteForm(_RouteForm):
    """A route as staff write it: targets one to a line."""

    targets = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "cols": 60, "spellcheck": "false"}),
        help_text="Queues of agents, one to a line, in the order in which jobs are sent. "
        "With none the run stops there on purpose.",
    )

    class Meta:
        model = Route
        fields = ("instrument", "queue", "targets")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk is not None:
            self.initial["targets"] = "\n".join(self.instance.targets)
        if "queue" in self.fields:
            self.fields["queue"] = forms.ChoiceField(
                choices=_queue_choices(), help_text="What the message arrives on."
            )

    def clean_targets(self) -> list[str]:
        words: str = self.cleaned_data["targets"]
        return words.replace(",", " ").split()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        instrument = self.cleaned_data.get("instrument") or self._stored("instrument")
        queue = self.cleaned_data.get("queue") or self._stored("queue")
        targets = self.cleaned_data.get("targets")
        if instrument is not None and queue and targets is not None:
            self._check(instrument, queue, targets)
        return cleaned

    def _stored(self, name: str) -> Any:
        return getattr(self.instance, name) if self.instance.pk is not None else None

    def _check(self, instrument: Instrument, queue: str, targets: Sequence[str]) -> None:
        try:
            proposal = routes.validated(instrument.name, queue, targets)
        except RoutingError as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))
            vars(self.instance)[_UNFIT] = True
            return
        self.cleaned_data["targets"] = list(proposal.targets)
        if PREVIEW in self.data:
            self.add_error(None, forms.ValidationError("Nothing is saved yet.", code=PREVIEW))

    @property
    def is_only_looked_at(self) -> bool:
        """Whether nothing is wrong and somebody asked for a preview."""
        codes = [error.code for errors in self.errors.as_data().values() for error in errors]
        return codes == [PREVIEW]


def _queue_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    read, taken = sorted(routes.beginnings()), sorted(queues.AGENT_QUEUES)
    return [
        ("Read by the workflow manager", [(name, name) for name in read]),
        (
            "Read by agents: a route without targets hides it on the pages",
            [(name, name) for name in taken],
        ),
    ]


@admin.register(Route)
class RouteAdmin(_RouteAdmin):
    form = RouteForm
    list_display = ("instrument", "queue", "sends", "changed_by", "changed_at")
    list_select_related = ("instrument",)
    search_fields = ("instrument__name", "queue")

    def get_fields(self, request: HttpRequest, obj: Route | None = None) -> list[Any]:
        wanted = ["instrument", "queue", "targets", "preview"]
        return wanted if obj is None else [*wanted, "changed_by", "changed_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Route | None = None) -> list[str]:
        known = ["preview", "changed_by", "changed_at"]
        return known if obj is None else ["instrument", "queue", *known]

    @admin.display(description="what follows")
    def sends(self, route: Route) -> str:
        return routes.what_follows(route.instrument, route.queue).sentence

    @admin.display(description="what follows")
    def preview(self, route: Route | None) -> SafeString | str:
        """What messages of the instrument do now, and would do with the form as it is."""
        if route is None or route.instrument_id is None or not route.queue:
            return "Choose an instrument and a queue, write targets, and press Preview."
        if vars(route).get(_UNFIT):
            return "Correct the route, and press Preview."
        present = routes.routes_of(route.instrument)
        proposed = {**present, route.queue: route.targets}
        changes = routes.changes(route.instrument, proposed)
        return format_html_join("", "{}", ((_told(*change),) for change in changes))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *arguments: Any, **options: Any
    ) -> HttpResponse:
        if getattr(context["adminform"].form, "is_only_looked_at", False):
            context["errors"] = None
        return super().render_change_form(request, context, *arguments, **options)

    def save_model(self, request: HttpRequest, obj: Route, form: Any, change: bool) -> None:
        stored = routes.set_route(
            obj.instrument.name, obj.queue, obj.targets, by=request.user.get_username()
        )
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: Route) -> None:
        routes.clear_routes(obj.instrument.name, obj.queue)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Route]") -> None:
        for route in queryset.select_related("instrument"):
            routes.clear_routes(route.instrument.name, route.queue)


def _told(before: Consequence, after: Consequence) -> SafeString:
    if before == after:
        return format_html("<p><strong>{}</strong>: {}</p>", after.queue, after.sentence)
    return format_html(
        "<p><strong>{}</strong><br>now: {}<br>as proposed: {}</p>",
        after.queue,
        before.sentence,
        after.sentence,
    )


class QueueForm(_QueueForm):
    class Meta:
        model = Queue
        fields = ("name", "is_workflow_input")
        widgets = {"name": forms.TextInput(attrs={"size": 60, "spellcheck": "false"})}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        name = self.cleaned_data.get("name") or self.instance.name
        if name:
            self._check(name)
        return cleaned

    def _check(self, name: str) -> None:
        is_read = self.cleaned_data.get("is_workflow_input", True)
        try:
            self.cleaned_data["name"] = queues.validated(name, is_workflow_input=is_read)
        except RoutingError as error:
            self.add_error("name" if "name" in self.fields else None, str(error))


@admin.register(Queue)
class QueueAdmin(_QueueAdmin):
    form = QueueForm
    fields = ("name", "is_workflow_input", "trouble")
    list_display = ("name", "is_workflow_input", "trouble")
    search_fields = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Queue | None = None) -> list[str]:
        return ["trouble"] if obj is None else ["name", "trouble"]

    @admin.display(description="not granted because")
    def trouble(self, queue: Queue | None) -> str:
        if queue is None or not queue.name:
            return ""
        return queues.trouble_of(queue.name)

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        stored = queues.add(obj.name, is_workflow_input=obj.is_workflow_input)
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: Queue) -> None:
        queues.remove(obj.name)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Queue]") -> None:
        for queue in queryset:
            queues.remove(queue.name)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """A queue at which a route begins is protected, with the reason."""
        shown, counts, missing, protected = super().get_deleted_objects(objs, request)
        return shown, counts, missing, [*protected, *_reasons_to_keep(objs)]


def _reasons_to_keep(found: Sequence[Queue]) -> list[str]:
    reasons = []
    for queue in found:
        try:
            queues.removable(queue.name)
        except RoutingError as error:
            reasons.append(str(error))
    return reasons


@admin.register(Instrument)
class InstrumentAdmin(_InstrumentAdmin):
    """Instruments come with their first run; only how much of them runs at once is set here."""

    fields = ("name", "facility", "jobs_in_flight")
    readonly_fields = ("name", "facility")
    list_display = ("name", "facility", "jobs_in_flight")
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Instrument | None = None) -> bool:
        return False
