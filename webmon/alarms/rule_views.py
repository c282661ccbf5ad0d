"""Pages about alarm rules: what is watched, and what a rule would have done."""

import logging

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dasmon_listener import alarm_details, alarms
from dasmon_listener import selectors as values
from dasmon_listener.models import AlarmRule
from webmon.accounts.policies import may_see_runs, may_tend, person, required
from webmon.alarms import rule_form, rule_pages
from webmon.alarms.rule_form import RuleForm, RuleFormError
from webmon.ui.answers import answer
from workflow_manager import selectors
from workflow_manager.models import Instrument

log = logging.getLogger(__name__)

LARGEST = 2**63
MOST_NAMES = 50


@require_safe
@required(may_see_runs)
def rule_list(request: HttpRequest) -> HttpResponse:
    """What is watched, by instrument."""
    instrument = _text(request.GET.get("instrument", "")).lower()
    page = rule_pages.rule_list_page(instrument, request.user, timezone.now())
    return answer(request, "alarms/rule_list.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_see_runs)
def new_rule(request: HttpRequest) -> HttpResponse:
    """A GET shows the form with what its address says, and what the rule would have done."""
    typed = RuleForm.typed(request.POST if request.method == "POST" else request.GET)
    if not rule_pages.tended_instruments(request.user):
        raise PermissionDenied
    if request.method != "POST":
        return _form(request, typed, None)
    return _save(request, typed, None)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_see_runs)
def rule(request: HttpRequest, rule: int) -> HttpResponse:
    """One rule; those who may change it change it here."""
    found = _rule(rule)
    if request.method != "POST":
        form = RuleForm.typed(request.GET) if "name" in request.GET else _form_of(found)
        return _form(request, form, found)
    _require_tending(request, found.instrument)
    return _save(request, RuleForm.typed(request.POST), found)


def _form_of(found: AlarmRule) -> RuleForm:
    setting = alarm_details.alarm_setting(found.instrument, found.alarm_name)
    return RuleForm.of(found, setting.guidance if setting else "")


def _form(
    request: HttpRequest,
    form: RuleForm,
    found: AlarmRule | None,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    page = rule_pages.rule_page(
        form,
        found,
        request.user,
        timezone.now(),
        problem=problem,
        with_preview="preview" in request.GET,
    )
    return answer(
        request,
        "alarms/rule.html",
        page,
        status=status,
        kinds=rule_form.KINDS,
        conditions=rule_form.CONDITIONS,
        levels=rule_form.LEVELS,
        units=tuple(rule_form.UNITS),
    )


def _save(request: HttpRequest, typed: RuleForm, found: AlarmRule | None) -> HttpResponse:
    instrument = selectors.instrument_named(typed.instrument)
    if instrument is None:
        return _form(request, typed, found, problem="Choose an instrument.", status=409)
    _require_tending(request, instrument)
    try:
        made = alarms.save_rule(typed.rule(instrument, _copy(found)), person(request))
    except (RuleFormError, alarms.AlarmRefusedError) as error:
        return _form(request, typed, found, problem=str(error), status=409)
    _describe(request, made, typed.guidance)
    log.info("%s saved rule %d: %s %s", request.user, made.id, made.name, rule_pages.words(made))
    return redirect("alarm rules")


def _copy(found: AlarmRule | None) -> AlarmRule | None:
    """Another object of the same row, so that what is refused leaves `found` as it is."""
    return None if found is None else _rule(found.id)


def _describe(request: HttpRequest, made: AlarmRule, guidance: str) -> None:
    setting = alarm_details.alarm_setting(made.instrument, made.alarm_name)
    if guidance == (setting.guidance if setting else ""):
        return
    is_latched = setting.is_latched if setting else False
    alarms.describe(
        made.instrument,
        made.alarm_name,
        guidance=guidance,
        is_latched=is_latched,
        by=person(request),
    )


@require_safe
@required(may_see_runs)
def preview(request: HttpRequest) -> HttpResponse:
    """What the rule that is being typed would have done in the last week."""
    part = rule_pages.preview_part(RuleForm.typed(request.GET), timezone.now())
    return answer(request, "alarms/preview.html", {"preview": part})


@require_safe
@required(may_see_runs)
def names(request: HttpRequest) -> HttpResponse:
    """PVs and status values of an instrument whose names contain what is typed."""
    instrument = _instrument(request.GET.get("instrument", ""))
    part = _text(request.GET.get("name", ""))
    known = values.known_names(instrument, part, MOST_NAMES)
    return answer(request, "alarms/names.html", {"names": known})


@require_POST
@required(may_see_runs)
def enable(request: HttpRequest, rule: int) -> HttpResponse:
    return _switch(request, rule, is_enabled=True)


@require_POST
@required(may_see_runs)
def disable(request: HttpRequest, rule: int) -> HttpResponse:
    return _switch(request, rule, is_enabled=False)


def _switch(request: HttpRequest, number: int, *, is_enabled: bool) -> HttpResponse:
    found = _rule(number)
    _require_tending(request, found.instrument)
    found.is_enabled = is_enabled
    alarms.save_rule(found, person(request))
    log.info("%s: rule %d is %s", request.user, found.id, "on" if is_enabled else "off")
    return redirect("alarm rules")


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_see_runs)
def delete(request: HttpRequest, rule: int) -> HttpResponse:
    """A GET asks first."""
    found = _rule(rule)
    _require_tending(request, found.instrument)
    if request.method != "POST":
        page = rule_pages.rule_page(_form_of(found), found, request.user, timezone.now())
        return answer(request, "alarms/delete_rule.html", page)
    log.info("%s removed rule %d: %s", request.user, found.id, rule_pages.words(found))
    alarms.remove_rule(found, person(request))
    return redirect("alarm rules")


def _require_tending(request: HttpRequest, instrument: Instrument) -> None:
    if not may_tend(request.user, instrument.name):
        raise PermissionDenied


def _rule(number: int) -> AlarmRule:
    found = alarm_details.alarm_rule(number) if number < LARGEST else None
    if found is None:
        raise Http404
    return found


def _instrument(name: str) -> Instrument:
    found = selectors.instrument_named(_text(name))
    if found is None:
        raise Http404
    return found


def _text(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()
