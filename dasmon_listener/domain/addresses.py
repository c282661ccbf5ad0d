"""Where webhooks may lead: not into the facility's own network, unless it is configured."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

Network = IPv4Network | IPv6Network

LONGEST_ADDRESS = 2000
_PRINTABLE = re.compile(r"[!-~]+")
# Forms of version 6 that stand for an address of version 4 in their last four bytes.
_CARRIERS = (
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("64:ff9b::/96"),
)
# Reserved for protocols (not every Python says so), or tunnels into networks of any kind.
_OPAQUE = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2002::/16"),
    IPv6Network("2001::/32"),
)
_UNICAST = IPv6Network("2000::/3")


class AddressRefusedError(Exception):
    """Nothing is sent to this address; the text is a sentence for the person who wrote it."""


def check_url(url: str) -> SplitResult:
    """The parts of a webhook's URL, as far as they can be judged without resolving its name.

    Raises:
        AddressRefusedError: it is none that we send to.
    """
    if len(url) > LONGEST_ADDRESS:
        raise AddressRefusedError(f"The address is longer than {LONGEST_ADDRESS} characters.")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise AddressRefusedError("The address has spaces or characters that no URL has.")
    parts = _split(url)
    if parts.scheme not in {"http", "https"}:
        raise AddressRefusedError("The address has to begin with https:// or http://.")
    if not parts.hostname:
        raise AddressRefusedError("The address names no host.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("The address must not hold a user name or a password.")
    return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise AddressRefusedError(f"The address is no URL: {error}.") from error
    return parts


def check_addresses(host: str, addresses: Sequence[str], allowed: Sequence[Network]) -> None:
    """Judge a host by all the addresses that its name resolves to.

    Raises:
        AddressRefusedError: one of them is not in the public internet, nor in `allowed`.
    """
    for address in addresses:
        if not is_reachable(address, allowed):
            where = address if host == address else f"{host} ({address})"
            raise AddressRefusedError(
                f"{where} is a private, local or reserved address, to which nothing is sent. "
                "An administrator may allow its network (WEBHOOK_ALLOWED_NETWORKS)."
            )


def is_reachable(address: str, allowed: Sequence[Network]) -> bool:
    """Whether we send to an IP address: one of the public internet, or of an allowed network."""
    found = _meant(ip_address(address.partition("%")[0]))
    if any(found in network for network in allowed if network.version == found.version):
        return True
    return _is_public(found)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of version 4 that one of version 6 stands for."""
    if isinstance(address, IPv6Address) and any(address in each for each in _CARRIERS):
        embedded = int(address) & 0xFFFFFFFF
        return IPv4Address(embedded) if embedded > 1 else address
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    if any(address in each for each in _OPAQUE if each.version == address.version):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )
