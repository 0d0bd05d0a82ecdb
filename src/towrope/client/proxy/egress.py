"""The HTTP proxy that a connection out of this machine has to take, as the environment says.

`HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; on macOS and Windows also the system's own settings.
"""

import ipaddress
from urllib.request import getproxies, proxy_bypass


def http_proxy_for(host: str) -> str | None:
    """The URL of the proxy for TLS connections to `host`; never one for this machine itself."""
    if is_loopback(host) or _is_excluded(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_excluded(host: str) -> bool:
    """Whether NO_PROXY covers an address by a network, such as `10.0.0.0/8`."""
    address = _address(host)
    if address is None:
        return False
    for part in getproxies().get("no", "").split(","):
        try:
            network = ipaddress.ip_network(part.strip(), strict=False)
        except ValueError:
            continue
        if address in network:
            return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
