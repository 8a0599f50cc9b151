# SPDX-License-Identifier: Apache-2.0
"""IP addresses and subnets of both versions: which there may be, and how they are written and sorted."""

from __future__ import annotations

import ipaddress
import re

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The prefix lengths of a subnet. IPv4: 16 million machines to two. IPv6: what a site has (RFC 6177) to two machines.
PREFIXES = {4: (8, 30), 6: (32, 126)}

#: No machine has an address of these: https://www.iana.org/assignments/iana-ipv4-special-registry and
#: iana-ipv6-special-registry. 169.254.0.0/16 and fe80::/10 are every link's own.
FORBIDDEN: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8")
)

_CIDR = re.compile(r"[0-9A-Fa-f.:]{2,39}/[0-9]{1,3}")


def address(text: str) -> IPAddress:
    """An address.

    :raises ValueError: it is none, or has a zone
    """
    if "%" in text or not text.isascii() or len(text) > 45:
        raise ValueError("it must be an IP address")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("it must be an IP address") from None


def cidr(text: str) -> IPNetwork:
    """A range of addresses, such as 192.0.2.0/24 or 2001:db8::/64.

    :raises ValueError: it is none, or has bits set beyond its prefix
    """
    if _CIDR.fullmatch(text) is None:
        raise ValueError("it must be a subnet, like 192.0.2.0/24 or 2001:db8::/64")
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError("it must be a subnet, like 192.0.2.0/24 or 2001:db8::/64") from None
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("it has bits set beyond its prefix") from None


def check_subnet(network: IPNetwork) -> None:
    """Refuse what machines cannot have addresses of, and what is too large or too small.

    :raises ValueError: with the reason
    """
    low, high = PREFIXES[network.version]
    if not low <= network.prefixlen <= high:
        raise ValueError(f"the prefix of a subnet of IPv{network.version} must be /{low} to /{high}")
    for other in FORBIDDEN:
        if other.version == network.version and network.overlaps(other):
            raise ValueError(f"machines have no addresses of {other}")


def hosts(network: IPNetwork) -> tuple[IPAddress, IPAddress]:
    """The first and the last address that a machine may have: without the one of the network (RFC 4291, 2.6.1) and,
    with IPv4, the broadcast.
    """
    return network[1], network[-2] if network.version == 4 else network[-1]


def number(found: IPAddress) -> str:
    """An address in 32 hexadecimal digits, those of IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2), so that texts sort."""
    value = int(found) + (0xFFFF << 32 if found.version == 4 else 0)
    return f"{value:032x}"


def numbers(text: str) -> tuple[str, str]:
    """The numbers of the first and the last address of what a filter means: an address, or a range of them.

    :raises ValueError: it is neither
    """
    if "/" not in text:
        found = number(address(text))
        return found, found
    network = cidr(text)
    return number(network[0]), number(network[-1])
