"""What a person fills in about one recipient."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django import forms
from django.http import QueryDict

from dasmon_listener.domain.levels import WORTH_TELLING, Level
from dasmon_listener.models import Recipient
from workflow_manager.models import Instrument

if TYPE_CHECKING:
    _Form = forms.ModelForm[Recipient]
else:
    _Form = forms.ModelForm

LEVELS = [level for level in Level if level >= WORTH_TELLING]
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE = timedelta(minutes=1)
_LONGEST_ESCALATION = 7 * 24 * 60


class RecipientForm(_Form):
    """One recipient; whether it can be kept like this is decided by `recipients.save`."""

    address = forms.CharField(max_length=2000, strip=True)
    minimum_level = forms.TypedChoiceField(
        choices=[(level.value, f"{level.word} and worse") for level in LEVELS[:-1]]
        + [(Level.FATAL.value, "fatal only")],
        coerce=int,
    )
    instruments = forms.ModelMultipleChoiceField(
        Instrument.objects.order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    escalate_after = forms.IntegerField(
        required=False, min_value=1, max_value=_LONGEST_ESCALATION, label="Minutes"
    )
    days = forms.TypedMultipleChoiceField(
        choices=list(enumerate(DAYS)),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Recipient
        fields = [
            "way",
            "address",
            "instruments",
            "minimum_level",
            "escalate_after",
            "quiet_from",
            "quiet_until",
            "days",
            "wants_over",
            "is_enabled",
        ]
        widgets = {
            "quiet_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_until": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def __init__(self, data: QueryDict | None, instance: Recipient) -> None:
        shown = {"escalate_after": _minutes(instance)}
        super().__init__(data, instance=instance, initial=shown)

    def clean_escalate_after(self) -> timedelta | None:
        minutes = self.cleaned_data["escalate_after"]
        return None if minutes is None else minutes * _MINUTE


def _minutes(recipient: Recipient) -> int | None:
    after = recipient.escalate_after
    return None if after is None else max(1, round(after / _MINUTE))
