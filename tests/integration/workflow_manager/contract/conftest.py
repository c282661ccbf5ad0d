"""One manager for each kind of broker, shared by all tests here: each has runs of its own."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from tests import activemq, artemis
from tests.integration.broker.houses import running
from tests.integration.workflow_manager.contract.site import Site, running_manager

_REQUIREMENTS = {"activemq": activemq.require, "artemis": artemis.require}


@pytest.fixture(scope="package", params=["embedded", "activemq", "artemis"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Site]:
    """The manager's threads use the database between tests too, so it is open all the time."""
    name = request.param
    if name in _REQUIREMENTS and (reason := _REQUIREMENTS[name]()):
        pytest.skip(reason)
    with django_db_blocker.unblock():
        with running(name, tmp_path_factory.mktemp(name)) as house, running_manager(house) as site:
            yield site
        call_command("flush", interactive=False, verbosity=0)
