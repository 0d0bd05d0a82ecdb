"""`towrope relay hyco`."""

from tests.client.conftest import Shell

SPACE = ("-g", "shops", "--namespace-name", "shop-relay")


def hyco(*words: str) -> list[str]:
    return ["relay", "hyco", *words]


def test_life_of_a_hybrid_connection(signed_in: Shell) -> None:
    made = signed_in.json(*hyco("create", *SPACE, "-n", "printers/one", "--user-metadata", "x"))
    assert made["name"] == "printers/one"
    assert made["resourceGroup"] == "shops"
    assert made["requiresClientAuthorization"] is True
    assert made["userMetadata"] == "x"
    assert signed_in.json(*hyco("show", *SPACE, "-n", "printers/one")) == made
    assert made in signed_in.json(*hyco("list", *SPACE))
    table = signed_in.ok(*hyco("list", *SPACE, "-o", "table")).splitlines()
    assert table[0].split() == ["Name", "ResourceGroup", "ListenerCount"]
    assert "--yes" in signed_in.error(2, *hyco("delete", *SPACE, "-n", "printers/one"))
    signed_in.ok(*hyco("delete", *SPACE, "-n", "printers/one", "--yes"))
    assert "printers/one" in signed_in.error(3, *hyco("show", *SPACE, "-n", "printers/one"))


def test_names_that_are_none(signed_in: Shell) -> None:
    signed_in.error(1, *hyco("create", *SPACE, "-n", "../x"))
    short = ("-g", "shops", "--namespace-name", "x")
    signed_in.error(1, *hyco("create", *short, "-n", "printer"))
