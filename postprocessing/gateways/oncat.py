"""ONCat, the facility's catalogue: three calls."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import requests

TIMEOUT = (10.0, 120.0)  # seconds to connect, and between two bytes of the answer


class CatalogueError(Exception):
    """The catalogue did not do what it was asked."""


class Catalogue(Protocol):
    """What a catalogue does. Paths are as on the facility. All raise `CatalogueError`."""

    def ingest_raw(self, path: str) -> Mapping[str, Any]: ...
    def ingest_reduced(self, path: str) -> None: ...
    def ingest_batch(self, paths: Sequence[str]) -> None: ...


class OncatCatalogue:
    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {token}",
            "API-Client": "v1 pyoncat/2.7",
            "User-Agent": "WebMon agent",
            "Accept": "application/json",
        }

    def ingest_raw(self, path: str) -> Mapping[str, Any]:
        answer = self._post(f"/api/datafiles/{_quoted(path)}/ingest", None)
        return answer if isinstance(answer, dict) else {}

    def ingest_reduced(self, path: str) -> None:
        self._post(f"/api/reductions/{_quoted(path)}/ingest", None)

    def ingest_batch(self, paths: Sequence[str]) -> None:
        self._post("/api/datafiles/batch", list(paths))

    def _post(self, place: str, content: list[str] | None) -> Any:
        url = self._url + place
        body = b"null" if content is None else None
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            answer = requests.post(url, data=body, json=content, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise CatalogueError(f"Error: {error}") from error
        _check(answer, url)
        try:
            return answer.json()
        except ValueError:
            return None  # an answer without content is an answer


def _quoted(path: str) -> str:
    return quote(path.replace("//", "/").lstrip("/"))


def _check(answer: requests.Response, url: str) -> None:
    if answer.status_code < 400:
        return
    texts = {
        400: "Bad request",
        401: f'Not authorized to access "{url}"',
        404: f'Could not find resource at "{url}"',
    }
    raise CatalogueError(texts.get(answer.status_code, f'Error: "{answer.text}"'))
