"""A user of a server's directory, and how that user signs in without a screen."""

import json
import secrets
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.form_browser import FormBrowser
from tests.fixtures.server import Server
from towrope.control.roles.built_in import CLUSTER_USER


@dataclass(frozen=True, kw_only=True)
class User:
    server: Server
    name: str
    object_id: str
    password: str = field(repr=False)

    @contextmanager
    def browser(self, **typed: str) -> Iterator[FormBrowser]:
        """A browser in which this user signs in wherever somebody is asked to."""
        known = {"username": self.name, "password": self.password, **typed}
        made = FormBrowser(self.server.tls(), known)
        try:
            yield made
        finally:
            made.close()

    def environment(self) -> dict[str, str]:
        """In which `towrope login` finds that browser."""
        return {
            "BROWSER": f"{sys.executable} -m tests.fixtures.form_browser %s",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "FORM_BROWSER_FIELDS": json.dumps({"username": self.name, "password": self.password}),
            "FORM_BROWSER_AUTHORITY": str(self.server.ca_file),
        }


def make_user(server: Server, name: str, *, reaches: bool = True) -> User:
    """One who may reach every cluster, as whoever signs in to use one; or who holds no role."""
    password = secrets.token_urlsafe(16)
    body = {
        "accountEnabled": True,
        "displayName": name.title(),
        "mailNickname": name,
        "userPrincipalName": f"{name}@contoso.example",
        "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": False},
    }
    made = server.api.post("/v1.0/users", json=body).raise_for_status().json()
    if reaches:
        let_reach(server, made["id"])
    return User(
        server=server,
        name=made["userPrincipalName"],
        object_id=made["id"],
        password=password,
    )


def let_reach(server: Server, object_id: str) -> None:
    """Gives a principal the role to reach every cluster."""
    subscription = f"/subscriptions/{server.subscription}"
    authorization = f"{subscription}/providers/Microsoft.Authorization"
    properties = {
        "roleDefinitionId": f"{authorization}/roleDefinitions/{CLUSTER_USER.id}",
        "principalId": object_id,
    }
    path = f"{authorization}/roleAssignments/{uuid.uuid4()}"
    server.api.put(path, json={"properties": properties}).raise_for_status()
