"""Ranges of addresses, as people write them (``10.0.0.0/8``, a single address), and what is in them."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The ranges; ValueError names the first that is none (bits beyond the prefix are a slip, too)."""
    return tuple(ip_network(text.strip()) for text in texts)


def is_within(networks: Iterable[Network], address: str) -> bool:
    """Whether the address is in one of the ranges; an IPv4 address counts as one in its IPv6 clothes too."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def network_of(client: str) -> str:
    """What to count an address under: itself, or its /64 where it is of IPv6, which one client has all of."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or int(address) >> 64)
    return client
