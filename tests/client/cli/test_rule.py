"""`towrope relay hyco authorization-rule`."""

from tests.client.conftest import Shell

SPACE = ("-g", "shops", "--namespace-name", "shop-relay")
SCOPE = (*SPACE, "--hybrid-connection-name", "scanner")


def rule(*words: str) -> list[str]:
    return ["relay", "hyco", "authorization-rule", *words]


def test_life_of_a_rule(signed_in: Shell) -> None:
    signed_in.ok("relay", "hyco", "create", *SPACE, "-n", "scanner")
    made = signed_in.json(*rule("create", *SCOPE, "-n", "both", "--rights", "Listen", "Send"))
    assert sorted(made["rights"]) == ["Listen", "Send"]
    assert signed_in.json(*rule("show", *SCOPE, "-n", "both")) == made
    assert signed_in.json(*rule("list", *SCOPE)) == [made]
    keys = signed_in.json(*rule("keys", "list", *SCOPE, "-n", "both"))
    assert keys["keyName"] == "both"
    assert keys["primaryKey"] != keys["secondaryKey"]
    assert "EntityPath=scanner" in keys["primaryConnectionString"]
    signed_in.ok(*rule("delete", *SCOPE, "-n", "both", "--yes"))
    assert "both" in signed_in.error(3, *rule("keys", "list", *SCOPE, "-n", "both"))


def test_rights_that_are_none(signed_in: Shell) -> None:
    said = signed_in.error(2, *rule("create", *SCOPE, "-n", "x", "--rights", "Listen", "Fly"))
    assert "manage" in said
    assert "--rights" in signed_in.error(2, *rule("create", *SCOPE, "-n", "x"))


def test_hybrid_connection_is_not_there(signed_in: Shell) -> None:
    scope = (*SPACE, "--hybrid-connection-name", "nope")
    assert "nope" in signed_in.error(3, *rule("list", *scope))
