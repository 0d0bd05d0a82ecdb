from tests.control.conftest import GROUPS, Plane


async def test_the_next_link_is_of_the_same_list(plane: Plane) -> None:
    for number in range(3):
        await plane.make_group(f"group-{number}")
    query = {"$top": "1", "$filter": "tagName eq 'a b&c'", "x": "1"}
    for number in range(3):
        tags = {"tags": {"a b&c": "é"}} if number != 1 else {"tags": {}}
        (await plane.api.patch(f"{GROUPS}/group-{number}", json=tags)).raise_for_status()
    first = (await plane.api.get(GROUPS, params=query)).json()
    assert [group["name"] for group in first["value"]] == ["group-0"]
    headers = {"authorization": plane.api.headers["authorization"]}
    second = (await plane.anonymous.get(first["nextLink"], headers=headers)).json()
    assert [group["name"] for group in second["value"]] == ["group-2"]
    assert "nextLink" not in second


async def test_top_shows_no_more_than_a_page(plane: Plane) -> None:
    for number in range(5):
        await plane.make_group(f"group-{number}")
    shown = (await plane.api.get(GROUPS, params={"$TOP": "4"})).json()
    assert len(shown["value"]) == 3
    assert "nextLink" in shown
