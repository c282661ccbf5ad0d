"""Answers with stored content.

A browser keeps them and asks each time: nothing stale is shown, nothing is sent twice.
"""

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags

from livedata.domain import content
from livedata.selectors import Message

# An uploaded page that is opened by itself gets no script, no cookies and no origin.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def stored_as(message: Message) -> HttpResponse:
    """The content with its type: JSON, HTML, or plain text for what is declared as neither."""
    data_type = message.metadata.get("data_type")
    if data_type == content.JSON:
        text = content.portable(message.content.decode())
        return HttpResponse(text, content_type="application/json")
    kind = "html" if data_type == content.HTML else "plain"
    return HttpResponse(
        message.content,
        content_type=f"text/{kind}; charset=utf-8",
        headers={"Content-Security-Policy": SANDBOX},
    )


def not_modified(request: HttpRequest, tag: str) -> HttpResponse | None:
    """The empty answer, if the reader already has what `tag` names."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if known != ["*"] and tag not in [etag.removeprefix("W/") for etag in known]:
        return None
    return tagged(HttpResponse(status=304), tag)


def tagged(response: HttpResponse, tag: str) -> HttpResponse:
    response["ETag"] = tag
    response["Cache-Control"] = "no-cache"
    return response
