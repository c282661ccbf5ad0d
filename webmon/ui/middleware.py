"""What a browser may do on our pages: load from this server only, run no inline script."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
HEADER = "Content-Security-Policy"


def policy(**changes: str) -> str:
    """The policy as a header; `style_src_attr="..."` changes or adds `style-src-attr`."""
    named = {name.replace("_", "-"): sources for name, sources in changes.items()}
    return "; ".join(f"{name} {sources}" for name, sources in (POLICY | named).items())


_STRICT = policy()

# plotly.js adds two style elements, one empty (it then inserts its rules one by one) and one with
# the rules of its map library, and places what it draws with style attributes. Style elements are
# allowed by their hashes; the second changes with plotly.js, which the browser test notices.
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_MAP_RULES = "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
PLOT_POLICY = policy(
    style_src_elem=f"'self' {_EMPTY} {_MAP_RULES}", style_src_attr="'unsafe-inline'"
)


def ContentSecurityPolicyMiddleware(  # noqa: N802 (named like Django's other middleware)
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Set the policy on every answer that has none.

    Only synchronous, and innermost, so that Django runs all middleware in one thread: otherwise
    each of them costs two changes of thread in every request.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        # A view that needs more (a plot) or less (uploaded content) has set its own.
        response.headers.setdefault(HEADER, _STRICT)
        return response

    return answer
