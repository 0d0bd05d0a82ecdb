"""The real `az ad`: users, groups, applications and service principals of the directory."""

from pathlib import Path

from tests.conformance.conftest import PASSWORD, Site
from tests.fixtures.azure_cli import azure_at
from tests.fixtures.form_browser import FormBrowser
from tests.fixtures.signing_in import device_code


def test_users(site: Site) -> None:
    name = "ada@contoso.example"
    words = ["--display-name", "Ada Lovelace", "--user-principal-name", name]
    made = site.az.json("ad", "user", "create", *words, "--password", PASSWORD)
    assert made["userPrincipalName"] == name
    assert site.az.json("ad", "user", "show", "--id", name)["id"] == made["id"]
    for asked in (
        ["--upn", name],
        ["--display-name", "Ada"],
        ["--filter", "startswith(userPrincipalName,'ada@')"],
    ):
        found = site.az.json("ad", "user", "list", *asked)
        assert [each["id"] for each in found] == [made["id"]], asked
    site.az.run("ad", "user", "update", "--id", name, "--display-name", "Ada King")
    shown = ["ad", "user", "show", "--id", made["id"], "--query", "displayName"]
    assert site.az.tsv(*shown) == "Ada King"
    site.az.run("ad", "user", "delete", "--id", name)
    assert "does not exist" in site.az.fails(3, "ad", "user", "show", "--id", name)


def test_groups(site: Site) -> None:
    words = ["--display-name", "Tills", "--mail-nickname", "tills"]
    made = site.az.json("ad", "group", "create", *words)
    assert site.az.json("ad", "group", "show", "--group", "Tills")["id"] == made["id"]
    assert site.az.json("ad", "group", "show", "--group", made["id"])["displayName"] == "Tills"
    for asked in (["--display-name", "Til"], ["--filter", "displayName eq 'Tills'"]):
        found = site.az.json("ad", "group", "list", *asked)
        assert [each["id"] for each in found] == [made["id"]], asked
    site.az.run("ad", "group", "delete", "--group", "Tills")
    assert site.az.json("ad", "group", "list", "--display-name", "Tills") == []


def test_members_of_a_group(site: Site) -> None:
    member = ["--group", site.group_id, "--member-id", site.user_id]
    site.az.run("ad", "group", "member", "add", *member)
    (listed,) = site.az.json("ad", "group", "member", "list", "--group", site.group_id)
    assert listed["userPrincipalName"] == site.user_principal_name
    assert site.az.json("ad", "group", "member", "check", *member) == {"value": True}
    of_user = ["ad", "user", "get-member-groups", "--id", site.user_principal_name]
    assert [each["id"] for each in site.az.json(*of_user)] == [site.group_id]
    assert site.az.json("ad", "group", "get-member-groups", "--group", site.group_id) == []
    site.az.run("ad", "group", "member", "remove", *member)
    assert site.az.json("ad", "group", "member", "check", *member) == {"value": False}


def test_applications(site: Site) -> None:
    made = site.az.json("ad", "app", "create", "--display-name", "till")
    app_id = made["appId"]
    principal = site.az.json("ad", "sp", "create", "--id", app_id)
    for named in (app_id, principal["id"]):
        assert site.az.json("ad", "sp", "show", "--id", named)["appId"] == app_id
    for words in (
        ["ad", "app", "list", "--display-name", "till"],
        ["ad", "app", "list", "--app-id", app_id],
        ["ad", "sp", "list", "--spn", app_id],
        ["ad", "sp", "list", "--display-name", "till"],
    ):
        assert [each["appId"] for each in site.az.json(*words)] == [app_id], words
    reset = site.az.json("ad", "app", "credential", "reset", "--id", app_id)
    assert (reset["appId"], reset["tenant"]) == (app_id, site.server.tenant)
    (kept,) = site.az.json("ad", "sp", "credential", "list", "--id", app_id)
    assert kept["hint"] == reset["password"][:3]
    site.az.run("ad", "app", "delete", "--id", app_id)
    assert site.az.json("ad", "sp", "list", "--spn", app_id) == []


def test_nobody_owns_what_administrators_keep(site: Site) -> None:
    assert site.az.json("ad", "group", "owner", "list", "--group", site.group_id) == []
    assert site.az.json("ad", "sp", "owner", "list", "--id", site.server.app_id) == []
    assert site.az.json("ad", "app", "owner", "list", "--id", site.server.app_id) == []


def test_an_application_has_no_me(site: Site) -> None:
    said = site.az.fails(1, "ad", "signed-in-user", "show")
    assert "delegated authentication" in said


def test_a_person_with_a_device_code_and_no_role(
    site: Site, azure_python: Path, tmp_path: Path
) -> None:
    hers = azure_at(tmp_path, azure_python, site.server.ca_file)
    hers.register(site.server.url)
    assert "az login" in hers.fails(1, "ad", "signed-in-user", "show")
    words = ["login", "--use-device-code", "--allow-no-subscriptions"]
    with device_code(hers, *words, program=hers.program) as code:
        typed = {"username": site.user_principal_name, "password": PASSWORD, "user_code": code}
        browser = FormBrowser(site.server.tls(), typed)
        browser.visit(f"{site.server.url}/device")
        browser.close()
    me = hers.json("ad", "signed-in-user", "show")
    assert (me["id"], me["userPrincipalName"]) == (site.user_id, site.user_principal_name)
    said = hers.fails(1, "ad", "user", "delete", "--id", site.user_id)
    assert "Insufficient privileges" in said
    assert hers.json("ad", "group", "list", "--display-name", "Shop") != []
