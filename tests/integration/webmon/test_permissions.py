"""Who may open what: every address, for every kind of person."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.integration.webmon import rows

LOG_IN = "log in"
PEOPLE = ("anonymous", "uploads", "user", "scientist", "admin")

TABLE = {
    "/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/arcs/": (LOG_IN, 403, 302, 302, 302),
    "/report/": (LOG_IN, 403, 200, 200, 200),
    "/report/arcs/": (LOG_IN, 403, 200, 200, 200),
    "/report/ARCS/": (LOG_IN, 403, 200, 200, 200),
    "/report/nowhere/": (LOG_IN, 403, 404, 404, 404),
    "/report/arcs/214583/": (LOG_IN, 403, 200, 200, 200),
    "/report/arcs/99/": (LOG_IN, 403, 404, 404, 404),
    "/report/arcs/99999999999999999999/": (LOG_IN, 403, 404, 404, 404),
    "/search/?q=nothing": (LOG_IN, 403, 200, 200, 200),
    "/system/rejected/": (LOG_IN, 403, 403, 403, 200),
    "/system/rejected/{rejected}/": (LOG_IN, 403, 403, 403, 200),
    "/system/rejected/99999999999999999999999/": (LOG_IN, 403, 403, 403, 404),
    "/events/?key=bad+key!": (LOG_IN, 403, 400, 400, 400),
    "/plots/arcs/214583/history/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/214583/history/1/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/214583/history/2/": (LOG_IN, 403, 404, 404, 404),
    "/plots/arcs/214583/figure/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/99/figure/": (LOG_IN, 403, 404, 404, 404),
    "/users/login": (200, 302, 302, 302, 302),
    "/users/logout": (200, 200, 200, 200, 200),
    "/ht/": (200, 200, 200, 200, 200),
    "/robots.txt": (200, 200, 200, 200, 200),
    "/favicon.ico": (302, 302, 302, 302, 302),
    "/database/": (302, 302, 302, 302, 200),
    "/database/login/": (LOG_IN, 403, 403, 403, 403),
    "/no/such/page/": (404, 404, 404, 404, 404),
}


@pytest.mark.parametrize("place", range(len(PEOPLE)), ids=PEOPLE)
def test_every_page(place: int, client_of: Callable[[str], Client]) -> None:
    rows.add_plot(rows.add_run())
    rejected = rows.reject().id
    client = client_of(PEOPLE[place])
    answered: dict[str, int | str] = {}
    for address in TABLE:
        response = client.get(address.format(rejected=rejected))
        sent_to_log_in = response.get("Location", "").startswith("/users/login?next=")
        answered[address] = LOG_IN if sent_to_log_in else response.status_code
    assert answered == {address: expected[place] for address, expected in TABLE.items()}


def test_every_address_is_in_the_table() -> None:
    """A new page has to say here who may open it; plots have their own tests."""
    from django.urls import get_resolver

    own = {
        str(pattern.pattern)
        for entry in get_resolver().url_patterns
        if str(entry.pattern) not in {"plots/", "database/"}
        for pattern in getattr(entry, "url_patterns", [entry])
    }
    assert own == {
        "",
        "dasmon/",
        "dasmon/<str:instrument>/",
        "search/",
        "report/",
        "report/<str:instrument>/",
        "report/<str:instrument>/<int:number>/",
        "login",
        "logout",
        "rejected/",
        "rejected/<int:message>/",
        "events/",
        "ht/",
        "favicon.ico",
        "robots.txt",
        "database/login/",
    }


@pytest.mark.parametrize("address", ["/", "/report/", "/report/arcs/", "/report/arcs/214583/"])
def test_pages_only_read(address: str, user: Client) -> None:
    rows.add_run()
    assert user.post(address).status_code == 405
