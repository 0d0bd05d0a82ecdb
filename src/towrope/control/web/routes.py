"""Every page, put together."""

from starlette.routing import Route

from towrope.control.services import Services
from towrope.control.web import assets
from towrope.control.web.authorize import Authorize
from towrope.control.web.device import Device
from towrope.control.web.entrance import Entrance
from towrope.control.web.forms import Forms
from towrope.control.web.logout import Logout
from towrope.control.web.pages import Pages
from towrope.control.web.sessions import Sessions


def routes(services: Services) -> list[Route]:
    pages, forms = Pages(services.settings), Forms(services.settings)
    sessions = Sessions(services)
    entrance = Entrance(services, pages, forms, sessions)
    return [
        *Authorize(services, entrance).routes(),
        *Device(services, entrance).routes(),
        *Logout(services, pages, sessions).routes(),
        *assets.routes(),
    ]
