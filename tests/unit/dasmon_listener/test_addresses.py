"""To which addresses webhooks may lead."""

from ipaddress import ip_network

import pytest

from dasmon_listener.domain.addresses import (
    AddressRefusedError,
    check_addresses,
    check_url,
    is_reachable,
)

REFUSED = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001:db8::1",
    "2001::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
]
TAKEN = [
    "8.8.8.8",
    "128.219.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::5",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_in_the_public_internet_is_refused(address: str) -> None:
    assert not is_reachable(address, ())


@pytest.mark.parametrize("address", TAKEN)
def test_the_public_internet_is_not(address: str) -> None:
    assert is_reachable(address, ())


def test_a_site_may_allow_networks() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd12::/16"))
    taken = ("10.1.2.3", "::ffff:10.1.2.3", "fd12::5")
    assert all(is_reachable(address, allowed) for address in taken)
    assert not any(is_reachable(address, allowed) for address in ("10.2.0.1", "fd13::5"))


def test_one_private_address_of_a_name_is_enough_to_refuse_it() -> None:
    check_addresses("hooks.example.org", ["8.8.8.8"], ())
    with pytest.raises(AddressRefusedError, match=r"hooks.example.org \(10.0.0.1\) is a private"):
        check_addresses("hooks.example.org", ["8.8.8.8", "10.0.0.1"], ())


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("", "no URL has"),
        ("hooks.example.org/x", "begin with https"),
        ("ftp://hooks.example.org/x", "begin with https"),
        ("file:///etc/passwd", "begin with https"),
        ("javascript:alert(1)", "begin with https"),
        ("https:///x", "names no host"),
        ("https://:443/x", "names no host"),
        ("https://user:secret@example.org/", "user name or a password"),
        ("https://example.org@127.0.0.1/", "user name or a password"),
        ("https://example.org\\@127.0.0.1/", "no URL has"),
        ("https://example.org/\r\nHost: other", "no URL has"),
        ("https://exa mple.org/", "no URL has"),
        ("https://example.org:99999/", "is no URL"),
        ("https://example.org:port/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("https://example.org/" + "x" * 2000, "longer than"),
        ("https://exämple.org/", "no URL has"),
    ],
)
def test_what_is_no_webhook(url: str, because: str) -> None:
    with pytest.raises(AddressRefusedError, match=because):
        check_url(url)


def test_webhooks_as_people_have_them() -> None:
    assert check_url("https://hooks.slack.com/services/T0/B0/x?a=%20b#c").hostname
    assert check_url("http://[2606:4700::1]:8080/x").port == 8080
