"""All routes of the directory's API."""

from starlette.routing import Route

from towrope.control.graph.applications import Applications
from towrope.control.graph.directory_objects import DirectoryObjects
from towrope.control.graph.faces import APPLICATIONS, PRINCIPALS
from towrope.control.graph.groups import Groups
from towrope.control.graph.me import Me
from towrope.control.graph.members import Members
from towrope.control.graph.memberships import Memberships
from towrope.control.graph.owners import Owners
from towrope.control.graph.password_credentials import PasswordCredentials
from towrope.control.graph.users import Users
from towrope.control.services import Services


def routes(services: Services) -> list[Route]:
    users = Users(services)
    return [
        *Me(services, users).routes(),
        *users.routes(),
        *Groups(services).routes(),
        *Members(services).routes(),
        *Owners(services).routes(),
        *Applications(services, PRINCIPALS).routes(),
        *Applications(services, APPLICATIONS).routes(),
        *PasswordCredentials(services).routes(),
        *DirectoryObjects(services).routes(),
        *Memberships(services).routes(),
    ]
