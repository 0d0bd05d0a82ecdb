from tests.control.conftest import error_of
from tests.control.graph.conftest import V1, Directory


async def test_options_that_no_list_has_are_refused(directory: Directory) -> None:
    for query in (
        {"$expand": "memberOf"},
        {"$orderby": "displayName"},
        {"$search": '"displayName:a"'},
        {"$skip": "1"},
        {"$top": "0"},
        {"$top": "1000"},
        {"$top": "9" * 30},
        {"$top": "²"},
        {"$top": "-1"},
        {"$count": "maybe"},
        {"$select": ""},
        {"$select": "displayName,nothing"},
        {"$filter": "nothing eq 'x'"},
    ):
        for path in ("/users", "/groups", "/servicePrincipals", "/applications"):
            await directory.refusal("GET", path, **query)
    await directory.refusal("GET", f"/users/{directory.ada_id}", **{"$filter": "id eq 'x'"})
    answer = await directory.ada.get(f"{V1}/users?$top=1&$TOP=2")
    assert error_of(answer) == (400, "Request_BadRequest")


async def test_others_are_not_looked_at(directory: Directory) -> None:
    assert await directory.names("/users", ConsistencyLevel="eventual") == ["Ada"]
    assert await directory.names("/users", **{"$FILTER": "", "$Count": "false"}) == ["Ada"]


async def test_a_link_that_is_not_ours_is_refused(directory: Directory) -> None:
    for token in ("", "!", "WzFd", "WyJhIiwiYiIsImMiXQ", "WyJhXHUwMDAwIl0"):
        query = {"$skiptoken": token}
        answer = await directory.api.get(f"{V1}/users", params=query)
        assert answer.status_code == 400, token


async def test_a_link_keeps_the_query(directory: Directory) -> None:
    for number in range(3):
        await directory.add_user(f"user-{number}@example.org", display_name=f"O'Brien {number}")
    query = {"$filter": "startswith(displayName,'O''Brien')", "$top": "1", "$select": "id"}
    link, seen = f"{V1}/users", list[str]()
    page = await directory.get("/users", **query)
    while True:
        seen += [each["id"] for each in page["value"]]
        assert all(list(each) == ["id"] for each in page["value"])
        link = page.get("@odata.nextLink", "")
        if not link:
            break
        page = (await directory.ada.get(link)).json()
    assert len(set(seen)) == len(seen) == 3
