"""Whether a cluster's API server constrains impersonation (KEP-5284), as its metrics tell.

Its version does not tell: the gate `ConstrainedImpersonation` is on by default since 1.36, and may
be off there, or on in 1.35. No API names it.
"""

import re
import time

import httpx2
from lightkube.config.client_adapter import Client as raw_client
from lightkube.config.client_adapter import ConnectionParams
from lightkube.core.client import Client

from towrope.client.kubernetes import TIMEOUT, is_loopback

SIZE_LIMIT = 64 * 1024 * 1024
READ_WITHIN = 15.0

# The filter that does it, once a request went through; or the gate, as the whole server tells it.
_SIGN = re.compile(
    r'apiserver_request_filter_duration_seconds_count\{filter="constrainedimpersonation"\} \S+'
    r'|kubernetes_feature_enabled\{name="ConstrainedImpersonation",[^}]*\} 1'
)


def is_in_force(client: Client) -> bool:
    """False too where the metrics cannot be read: the older rights work everywhere."""
    server = client.config.cluster.server
    parameters = ConnectionParams(timeout=TIMEOUT, trust_env=not is_loopback(server))
    try:
        with (
            raw_client(client.config, parameters) as http,
            http.stream("GET", "/metrics") as answer,
        ):
            return answer.status_code == httpx2.codes.OK and _says_so(answer)
    except httpx2.HTTPError:
        return False


def _says_so(answer: httpx2.Response) -> bool:
    until, left = time.monotonic() + READ_WITHIN, SIZE_LIMIT
    for line in answer.iter_lines():
        left -= len(line)
        if _SIGN.fullmatch(line) is not None:
            return True
        if left < 0 or time.monotonic() > until:
            break
    return False
