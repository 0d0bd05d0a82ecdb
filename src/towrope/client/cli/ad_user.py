"""`towrope ad user` and `towrope ad signed-in-user`: people in the server's directory."""

from typing import Any

import click

from towrope.client.cli.ad_context import (
    PASSWORD_HELP,
    directory_from_context,
    filter_option,
    flag_option,
    read_password,
)
from towrope.client.cli.command import command
from towrope.client.directory import equals, starts_with
from towrope.client.rest import Json

COLUMNS = {"DisplayName": "displayName", "UserPrincipalName": "userPrincipalName", "Id": "id"}
GROUP_COLUMNS = {"DisplayName": "displayName", "Id": "id"}

_id = click.option(
    "--id", "name", metavar="ID", required=True, help="The user's object id or principal name."
)
_force = flag_option(
    "--force-change-password-next-sign-in",
    "Whether the user has to choose another password at the next sign-in.",
)
_nickname = click.option(
    "--mail-nickname", help="For az's sake: always the principal name's part before the '@'."
)


@command(
    "create",
    example="""
    towrope ad user create --display-name Ada --user-principal-name ada@example.org
    towrope ad user create --display-name Ada --user-principal-name a@b.example --password - < file
    """,
    columns=COLUMNS,
)
@click.option("--display-name", required=True, help="The name that people read.")
@click.option("--user-principal-name", required=True, metavar="NAME@DOMAIN", help="Who signs in.")
@click.option("--password", metavar="PASSWORD|-", help=PASSWORD_HELP)
@_force
@_nickname
def create(
    display_name: str,
    user_principal_name: str,
    password: str | None,
    force_change_password_next_sign_in: bool | None,
    mail_nickname: str | None,
) -> Json:
    """Create a user, who signs in with a password."""
    profile = {
        "password": read_password(password),
        "forceChangePasswordNextSignIn": bool(force_change_password_next_sign_in),
    }
    body = {
        "accountEnabled": True,
        "displayName": display_name,
        "mailNickname": mail_nickname or user_principal_name.partition("@")[0],
        "userPrincipalName": user_principal_name,
        "passwordProfile": profile,
    }
    with directory_from_context() as directory:
        return directory.create_user(body)


@command(
    "list", example="towrope ad user list --query '[].userPrincipalName' -o tsv", columns=COLUMNS
)
@click.option("--upn", metavar="NAME@DOMAIN", help="The user with this principal name.")
@click.option("--display-name", help="Users whose display name begins so.")
@filter_option
def list_all(upn: str | None, display_name: str | None, conditions: str | None) -> list[Json]:
    """List users."""
    wanted = [conditions] if conditions else []
    wanted += [equals("userPrincipalName", upn)] if upn else []
    wanted += [starts_with("displayName", display_name)] if display_name else []
    with directory_from_context() as directory:
        return directory.list_users(wanted)


@command("show", example="towrope ad user show --id ada@example.org", columns=COLUMNS)
@_id
def show(name: str) -> Json:
    """Show a user."""
    with directory_from_context() as directory:
        return directory.get_user(name)


@command(
    "update",
    example="""
    towrope ad user update --id ada@example.org --account-enabled false
    towrope ad user update --id ada@example.org --password - < file
    """,
)
@_id
@flag_option("--account-enabled", "Whether the user may sign in.")
@click.option("--display-name", help="The name that people read.")
@click.option(
    "--password",
    metavar="PASSWORD|-",
    help="Another password; '-' reads it from standard input. Other users of the machine see what"
    " stands here.",
)
@_force
@_nickname
def update(name: str, **options: Any) -> None:
    """Change a user. Another password, or a disabled account, ends all that is signed in."""
    body = {
        "accountEnabled": options["account_enabled"],
        "displayName": options["display_name"],
        "mailNickname": options["mail_nickname"],
        "passwordProfile": _profile(
            options["password"], options["force_change_password_next_sign_in"]
        ),
    }
    body = {key: value for key, value in body.items() if value is not None}
    if not body:
        raise click.UsageError("There is nothing to change: name at least one option beside --id.")
    with directory_from_context() as directory:
        directory.update_user(name, body)


def _profile(password: str | None, must_change: bool | None) -> Json | None:
    profile: Json = {}
    if password is not None:
        profile["password"] = read_password(password)
    if must_change is not None:
        profile["forceChangePasswordNextSignIn"] = must_change
    return profile or None


@command("delete", example="towrope ad user delete --id ada@example.org")
@_id
def delete(name: str) -> None:
    """Delete a user. Role bindings in clusters that name the user stay."""
    with directory_from_context() as directory:
        directory.delete_user(name)


@command(
    "get-member-groups",
    example="towrope ad user get-member-groups --id ada@example.org -o table",
    columns=GROUP_COLUMNS,
)
@_id
@flag_option("--security-enabled-only", "For az's sake: every group is a security group.")
def get_member_groups(name: str, security_enabled_only: bool | None) -> list[Json]:
    """List the groups that a user is in, through other groups too."""
    with directory_from_context() as directory:
        return directory.list_member_groups("users", name)


@command(
    "show",
    example="towrope ad signed-in-user show --query userPrincipalName -o tsv",
    columns=COLUMNS,
)
def show_signed_in() -> Json:
    """Show the user who is signed in."""
    with directory_from_context() as directory:
        return directory.get_signed_in_user()
