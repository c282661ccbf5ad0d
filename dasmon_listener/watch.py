"""What the listener finds out by itself, each second: rules on values, and who is silent."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dasmon_listener import watched
from dasmon_listener.alarm_ledger import Assertion
from dasmon_listener.alarms import assert_all, end_shelves
from dasmon_listener.domain.levels import Level
from dasmon_listener.models import Alarm
from dasmon_listener.rule_watch import RuleWatch

# A look that comes so long after the one before means that this process did not hear either.
_LONGEST_PAUSE = timedelta(seconds=10)


class Watch:
    """Looks at what came since the last look, and says what follows for alarms."""

    def __init__(self) -> None:
        self._looked_at: datetime | None = None
        self._misread: set[int] = set()
        self._begin_anew()

    def look(self, now: datetime, hears: bool = True) -> None:
        """Follow rules and components until now, and end shelves.

        Args:
            now: by our clock.
            hears: whether messages reach us and are written within seconds. While not, only what
                stored values say is taken in, and nothing follows from silence; afterwards all
                limits start anew.

        Raises:
            django.db.Error: nothing was written; the next look begins as after a start.
        """
        self._listen(now, hears)
        try:
            said = [*self._rules.look(now, self._listening_since), *self._silences(now)]
            assert_all(said, now)
        except Exception:
            self._begin_anew()
            raise
        end_shelves(now)

    def _begin_anew(self) -> None:
        """Limits as well: heartbeats of when the database was away may not be written yet."""
        self._rules = RuleWatch(self._misread)
        self._listening_since: datetime | None = None

    def _listen(self, now: datetime, hears: bool) -> None:
        is_pause = self._looked_at is None or now - self._looked_at > _LONGEST_PAUSE
        self._looked_at = now
        if not hears:
            self._listening_since = None
        elif self._listening_since is None or is_pause:
            self._listening_since = now

    def _silences(self, now: datetime) -> Iterator[Assertion]:
        since = self._listening_since
        if since is None:
            return
        for key, signs, is_wanted, is_raised in watched.components():
            if signs is not None and is_wanted and not is_raised and signs.is_silent(now, since):
                yield Assertion(
                    key, Level.ERROR, Alarm.Origin.SILENCE, signs.message, now, source=signs.name
                )
            elif is_raised and (signs is None or not is_wanted or signs.is_heard(now)):
                yield Assertion(key, None, Alarm.Origin.SILENCE, "", now)
