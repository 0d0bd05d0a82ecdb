from tests.control.conftest import error_of
from tests.control.graph.conftest import NOBODY, V1, Directory
from towrope.control.store.groups import ADMINISTRATORS


async def test_an_object_of_any_kind_is_shown(directory: Directory) -> None:
    machine = await directory.administrator_id()
    for object_id, kind in (
        (directory.ada_id, "user"),
        (ADMINISTRATORS, "group"),
        (machine, "servicePrincipal"),
    ):
        shown = await directory.get(f"/directoryObjects/{object_id.upper()}")
        assert shown["@odata.type"] == f"#microsoft.graph.{kind}"
        assert shown["id"] == object_id
    for name in (NOBODY, "ada@example.org"):
        answer = await directory.api.get(f"{V1}/directoryObjects/{name}")
        assert error_of(answer) == (404, "Request_ResourceNotFound")


async def test_many_by_their_ids(directory: Directory) -> None:
    machine = await directory.administrator_id()
    ids = [machine, ADMINISTRATORS.upper(), NOBODY, directory.ada_id, directory.ada_id]

    async def ask(*types: str) -> list[str]:
        body = {"ids": ids, "types": types} if types else {"ids": ids}
        answer = await directory.ada.post(f"{V1}/directoryObjects/getByIds", json=body)
        return [each["@odata.type"].rpartition(".")[2] for each in answer.json()["value"]]

    every = ["servicePrincipal", "group", "user"]
    assert await ask() == every
    assert await ask("directoryObject") == every
    assert await ask("user", "GROUP", "directoryObjectPartnerReference") == ["group", "user"]
    assert await ask("device") == []
    for bad in ([], [NOBODY] * 1001, ["x"]):
        await directory.refusal("POST", "/directoryObjects/getByIds", {"ids": bad})
