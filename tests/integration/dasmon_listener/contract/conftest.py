"""One listener for each kind of broker, shared by all tests here."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests import activemq, artemis
from tests.integration.broker.houses import running
from tests.integration.dasmon_listener.contract.site import (
    DEFAULT_TOPICS,
    SHIPPED_TOPICS,
    Site,
    running_site,
)

_REQUIREMENTS = {"activemq": activemq.require, "artemis": artemis.require}
# On one broker with the list of topics that installations have, on the others with none.
_TOPICS = {"activemq": (*SHIPPED_TOPICS, *DEFAULT_TOPICS, "/topic/*.*.APP.PV")}


@pytest.fixture(scope="package", params=["embedded", "activemq", "artemis"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Site]:
    """What the listener wrote goes when it has stopped."""
    name = request.param
    if name in _REQUIREMENTS and (reason := _REQUIREMENTS[name]()):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(name)
    with django_db_blocker.unblock():
        with (
            running(name, folder) as house,
            running_site(house, folder / "listener.log", _TOPICS.get(name, ())) as site,
        ):
            yield site
        call_command("flush", interactive=False, verbosity=0, reset_sequences=False)
        with connection.cursor() as cursor:  # tables without a model, with numbers of series
            cursor.execute("TRUNCATE dasmon_sample, dasmon_minute, dasmon_hour")
