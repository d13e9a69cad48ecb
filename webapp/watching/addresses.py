"""Whom a webhook may call: hosts of the internet, never this machine or its network unless that was allowed.

Otherwise whoever may set a webhook could make this server knock at doors that only it can reach (SSRF).
"""

import ipaddress
import socket

from webapp.watching.undelivered import Undelivered


def address_of(host: str, port: int, *, private: bool) -> str:
    """The address to connect to: asked once, and that very one is called, so that no later answer can lead elsewhere.

    Undelivered where the name is not known, or where any of its addresses is not a public one.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Undelivered(f"the host {host} is not known") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not private and not all(map(is_public, addresses)):
        raise Undelivered(
            f"{host} is on this machine or its network, which OFFERLAB_PRIVATE_WEBHOOKS=1 would have to allow"
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether it is an address of the internet; one that wraps an IPv4 address is as public as that one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inside is None and found in _NAT64:
            inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
    return found.is_global and not found.is_multicast and not found.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
