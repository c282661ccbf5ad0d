"""One manager for each kind of broker, shared by all tests here: each has runs of its own."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from tests import activemq, artemis
from tests.integration.broker.houses import running
from tests.integration.workflow_manager.contract.site import Site, running_site

_REQUIREMENTS = {"activemq": activemq.require, "artemis": artemis.require}


@pytest.fixture(scope="package", params=["embedded", "activemq", "artemis"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Site]:
    """A test's transaction only reads; what the manager wrote goes when it has stopped."""
    name = request.param
    if name in _REQUIREMENTS and (reason := _REQUIREMENTS[name]()):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(name)
    with django_db_blocker.unblock():
        with running(name, folder) as house, running_site(house, folder / "manager.log") as site:
            yield site
        call_command("flush", interactive=False, verbosity=0, reset_sequences=False)
