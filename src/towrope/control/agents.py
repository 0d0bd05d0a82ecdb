"""The agents' API (see `wire.agent_api`). An agent's key acts for its own cluster alone."""

import asyncio
import contextlib
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import issuers, policy
from towrope.control.agent_keys import check_agent_key, check_authority, onboarding_key
from towrope.control.agent_trust import trust_at
from towrope.control.arm_error import ArmError, invalid_content, unauthenticated
from towrope.control.authentication import bearer_token
from towrope.control.credentials import TOKEN_LIFETIME, cluster_token
from towrope.control.json_body import answer, decode
from towrope.control.routing import CaselessRoute
from towrope.control.services import Services
from towrope.control.store import clusters
from towrope.control.store.clusters import Cluster
from towrope.wire import agent_api, assertion, names, sas
from towrope.wire.errors import Unauthenticated, foreign

BODY_LIMIT = 64 * 1024
QUESTION_LIMIT = 1024 * 1024
"""Bytes; a cluster's bindings may name many groups."""
LOOK_WITHIN = 3.0
"""Seconds; the agent that asks waits for 4."""


class Agents:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            CaselessRoute(f"{agent_api.PREFIX}/enroll", {"POST": self._enroll}),
            CaselessRoute(f"{agent_api.PREFIX}/heartbeat", {"POST": self._heartbeat}),
            CaselessRoute(f"{agent_api.PREFIX}/configuration", {"POST": self._configure}),
            CaselessRoute(f"{agent_api.PREFIX}/principal", {"POST": self._resolve}),
            CaselessRoute(f"{agent_api.PREFIX}/policy", {"POST": self._policy}),
            CaselessRoute(f"{agent_api.PREFIX}/listen", {"POST": self._listen}),
        ]

    async def _enroll(self, request: Request) -> Response:
        token = bearer_token(request.headers)
        cluster = await self._claimed(token)
        self._verify(token, cluster, onboarding_key(cluster.onboarding_public_key))
        body = await decode(request, agent_api.Enroll, limit=BODY_LIMIT)
        key, authority = check_agent_key(body.public_key), check_authority(body.ca_certificate)
        async with self._services.database.writing() as connection:
            there = await clusters.find(connection, cluster.group, cluster.name)
            if there is None or there.onboarding_public_key != cluster.onboarding_public_key:
                raise _refused()
            if there.agent_public_key is None:
                await clusters.change(
                    connection, there, agent_public_key=key, ca_certificate=authority
                )
            elif (there.agent_public_key, there.ca_certificate) != (key, authority):
                raise _enrolled_already(there)
        return answer(await self._configuration(there))

    async def _heartbeat(self, request: Request) -> Response:
        cluster = await self._agent(request)
        body = await decode(request, agent_api.Heartbeat, limit=BODY_LIMIT)
        authority = check_authority(body.ca_certificate) if body.ca_certificate else None
        changes = {
            "facts": _facts(body),
            "last_connectivity": int(self._services.clock()),
            "ca_certificate": authority or cluster.ca_certificate,
        }
        async with self._services.database.writing() as connection:
            there = await clusters.find(connection, cluster.group, cluster.name)
            if there is None or there.agent_public_key != cluster.agent_public_key:
                raise _refused()
            await clusters.change(connection, there, **changes)
        return answer(await self._configuration(cluster))

    async def _configure(self, request: Request) -> Response:
        cluster = await self._agent(request)
        body = await decode(request, agent_api.FetchConfiguration, limit=BODY_LIMIT)
        await self._look_for({key.issuer for key in body.unknown_keys})
        return answer(await self._configuration(cluster))

    async def _look_for(self, names_of_issuers: set[str]) -> None:
        """Asks issuers for their keys again, for as long as an agent waits for an answer."""
        async with self._services.database.reading() as connection:
            known = [each.name for each in await issuers.every(connection)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_WITHIN), asyncio.TaskGroup() as looks:
                for name in names_of_issuers.intersection(known):
                    looks.create_task(self._services.issuer_keys.look_again(name))

    async def _resolve(self, request: Request) -> Response:
        await self._agent(request)
        body = await decode(request, agent_api.ResolvePrincipal, limit=QUESTION_LIMIT)
        if len(body.groups) > agent_api.GROUPS_LIMIT:
            raise invalid_content(f"At most {agent_api.GROUPS_LIMIT} groups may be asked about.")
        return answer(await self._services.memberships.resolve(body))

    async def _policy(self, request: Request) -> Response:
        cluster = await self._agent(request)
        body = await decode(request, agent_api.FetchPolicy, limit=BODY_LIMIT)
        async with self._services.database.reading() as connection:
            current = await policy.of(connection, cluster, subscription=self._settings.subscription)
        if current.version == body.version:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return answer(current)

    async def _listen(self, request: Request) -> Response:
        cluster = await self._agent(request)
        expires_at = int(self._services.clock()) + TOKEN_LIFETIME
        token = cluster_token(
            self._settings,
            cluster.hybrid_connection,
            rule=names.LISTEN_RULE,
            right=sas.Right.LISTEN,
            expires_at=expires_at,
        )
        return answer(
            agent_api.Listen(
                relay=f"wss://{self._settings.url.netloc}",
                hybrid_connection_name=cluster.hybrid_connection,
                token=token,
                expires_at=expires_at,
            )
        )

    async def _agent(self, request: Request) -> Cluster:
        """The cluster whose enrolled agent calls. Raises `ArmError` (401)."""
        token = bearer_token(request.headers)
        cluster = await self._claimed(token)
        if cluster.agent_public_key is None:
            raise _refused()
        self._verify(token, cluster, assertion.load_key(cluster.agent_public_key))
        return cluster

    async def _claimed(self, token: str) -> Cluster:
        """The cluster that an assertion says to come from; not verified yet."""
        try:
            subject = assertion.subject_of(token)
        except Unauthenticated as error:
            raise unauthenticated(error.message) from None
        async with self._services.database.reading() as connection:
            cluster = await clusters.find_by_id(
                connection, subject, subscription=self._settings.subscription
            )
        if cluster is None:
            raise _refused()
        return cluster

    def _verify(self, token: str, cluster: Cluster, key: assertion.Key) -> None:
        try:
            assertion.verify(
                token,
                key,
                subject=assertion.subject_of(token),
                audience=str(self._settings.url),
                now=self._services.clock(),
            )
        except Unauthenticated as error:
            raise unauthenticated(error.message) from None

    async def _configuration(self, cluster: Cluster) -> agent_api.Configuration:
        resource_id = names.cluster_id(self._settings.subscription, cluster.group, cluster.name)
        domain = self._settings.url.cluster_domain
        async with self._services.database.reading() as connection:
            trust = await trust_at(connection, self._services, resource_id)
        return agent_api.Configuration(
            resource_id=resource_id,
            tls_server_name=names.tls_server_name(resource_id, domain=domain),
            trust=trust,
        )


def _facts(body: agent_api.Heartbeat) -> dict[str, str | int]:
    reported = msgspec.to_builtins(body)
    reported.pop("caCertificate", None)
    return {k: foreign(v) if isinstance(v, str) else v for k, v in reported.items()}


def _refused() -> ArmError:
    return unauthenticated(
        "No connected cluster with this resource id has such an agent. If it was deleted or"
        " connected anew, connect it again."
    )


def _enrolled_already(cluster: Cluster) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "AgentAlreadyEnrolled",
        f"Another agent has enrolled for '{cluster.name}' already. Connect the cluster anew if"
        " that agent and its keys are lost.",
    )
