"""`towrope ad group`: groups in the server's directory, and who is in them."""

import click

from towrope.client.cli.ad_context import directory_from_context, filter_option, flag_option
from towrope.client.cli.command import command
from towrope.client.directory import equals, starts_with
from towrope.client.rest import Conflict, Json
from towrope.wire.errors import Hop

COLUMNS = {"DisplayName": "displayName", "MailNickname": "mailNickname", "Id": "id"}
MEMBER_COLUMNS = {"DisplayName": "displayName", "Type": "@odata.type", "Id": "id"}

_group = click.option(
    "-g",
    "--group",
    "name",
    required=True,
    help="The group's object id, or its display name, or the beginning that only it has.",
)
_member = click.option(
    "--member-id",
    required=True,
    metavar="ID",
    help="The object id of a user, a group or a service principal.",
)


@command(
    "create",
    example="towrope ad group create --display-name 'Shop Operators' --mail-nickname operators",
    columns=COLUMNS,
)
@click.option("--display-name", required=True, help="The name that people read.")
@click.option("--mail-nickname", required=True, help="A short name, without spaces.")
@click.option("--description", help="What the group is for.")
@flag_option("--force", "Make one even where a group of the same names is there.")
def create(
    display_name: str, mail_nickname: str, description: str | None, force: bool | None
) -> Json:
    """Create a group. One of the same names that is there is shown instead."""
    same = [equals("displayName", display_name), equals("mailNickname", mail_nickname)]
    body = {
        "displayName": display_name,
        "mailNickname": mail_nickname,
        "mailEnabled": False,
        "securityEnabled": True,
    }
    if description is not None:
        body["description"] = description
    with directory_from_context() as directory:
        found = [] if force else directory.list_groups(same)
        if len(found) > 1:
            raise Conflict(
                f"More than one group has the names '{display_name}' and '{mail_nickname}'. Delete"
                " the others, or make one more with --force.",
                hop=Hop.CLIENT,
            )
        if found:
            click.echo("A group of the same names is there already.", err=True)
            return found[0]
        return directory.create_group(body)


@command("list", example="towrope ad group list --display-name Shop -o table", columns=COLUMNS)
@click.option("--display-name", help="Groups whose display name begins so.")
@filter_option
def list_all(display_name: str | None, conditions: str | None) -> list[Json]:
    """List groups."""
    wanted = [conditions] if conditions else []
    wanted += [starts_with("displayName", display_name)] if display_name else []
    with directory_from_context() as directory:
        return directory.list_groups(wanted)


@command(
    "show", example="towrope ad group show -g 'Shop Operators' --query id -o tsv", columns=COLUMNS
)
@_group
def show(name: str) -> Json:
    """Show a group."""
    with directory_from_context() as directory:
        return directory.get_group(directory.find_group(name))


@command("delete", example="towrope ad group delete -g 'Shop Operators'")
@_group
def delete(name: str) -> None:
    """Delete a group. Its members stay."""
    with directory_from_context() as directory:
        directory.delete_group(directory.find_group(name))


@command(
    "get-member-groups",
    example="towrope ad group get-member-groups -g 'Shop Operators' -o table",
    columns={"DisplayName": "displayName", "Id": "id"},
)
@_group
@flag_option("--security-enabled-only", "For az's sake: every group is a security group.")
def get_member_groups(name: str, security_enabled_only: bool | None) -> list[Json]:
    """List the groups that a group is in, through other groups too."""
    with directory_from_context() as directory:
        return directory.list_member_groups("groups", directory.find_group(name))


@command(
    "add",
    example="""
    towrope ad group member add -g 'Shop Operators' --member-id 0b1f6471-1bf0-4dda-aec3-cb9272f09590
    """,
)
@_group
@_member
def add_member(name: str, member_id: str) -> None:
    """Add a member."""
    with directory_from_context() as directory:
        directory.add_member(directory.find_group(name), member_id)


@command(
    "remove",
    example="""
    towrope ad group member remove -g 'Shop Operators' \
--member-id 0b1f6471-1bf0-4dda-aec3-cb9272f09590
    """,
)
@_group
@_member
def remove_member(name: str, member_id: str) -> None:
    """Remove a member, who loses within seconds what the group may do."""
    with directory_from_context() as directory:
        directory.remove_member(directory.find_group(name), member_id)


@command(
    "list",
    example="towrope ad group member list -g 'Shop Operators' -o table",
    columns=MEMBER_COLUMNS,
)
@_group
def list_members(name: str) -> list[Json]:
    """List the direct members of a group."""
    with directory_from_context() as directory:
        return directory.list_members(directory.find_group(name))


@command(
    "check",
    example="""
    towrope ad group member check -g 'Shop Operators' \
--member-id 0b1f6471-1bf0-4dda-aec3-cb9272f09590
    """,
)
@_group
@_member
def check_member(name: str, member_id: str) -> Json:
    """Tell whether somebody is in a group, through other groups too."""
    with directory_from_context() as directory:
        return {"value": directory.is_member(directory.find_group(name), member_id)}
