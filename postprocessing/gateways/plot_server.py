"""Uploading to a plot server. Runs inside reduction scripts, whose stderr must stay empty."""

import time
import warnings
from collections.abc import Mapping

import requests
from requests.adapters import BaseAdapter

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes of the answer
PAUSES = (1.0, 3.0)  # seconds before the second and the third attempt


def upload(
    url: str,
    fields: Mapping[str, str],
    files: Mapping[str, str],
    *,
    certificate: str = "",
    verify: bool = True,
    pauses: tuple[float, ...] = PAUSES,
    adapter: BaseAdapter | None = None,
) -> requests.Response:
    """Post a multipart form; try again when the server is away or fails.

    Args:
        adapter: carries the requests instead of the network; for tests.

    Raises:
        requests.HTTPError: the server said no; its text is in the message.
        requests.RequestException: the server could not be asked, three times.
    """
    with requests.Session() as session, warnings.catch_warnings():
        # Whoever switched verification off knows it; a warning would fail the reduction.
        warnings.simplefilter("ignore")
        session.verify, session.cert = verify, certificate or None
        if adapter is not None:
            session.mount(url, adapter)
        for pause in pauses:
            try:
                return _post(session, url, fields, files)
            except (requests.ConnectionError, requests.Timeout, _ServerError):
                time.sleep(pause)
        return _post(session, url, fields, files)


class _ServerError(requests.HTTPError):
    """The server failed (5xx); it may succeed later."""


def _post(
    session: requests.Session, url: str, fields: Mapping[str, str], files: Mapping[str, str]
) -> requests.Response:
    answer = session.post(url, data=fields, files=files, timeout=TIMEOUT)
    if answer.status_code >= 400:
        kind = _ServerError if answer.status_code >= 500 else requests.HTTPError
        said = answer.text.strip() or "nothing else"
        text = f"the plot server answered {answer.status_code} {answer.reason} to {url}: {said}"
        raise kind(text, response=answer)
    return answer
