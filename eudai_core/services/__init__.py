"""What the server does for people: the same services stand behind REST, WebSocket, CLI and library use.

Permissions are checked here, not in the surfaces. Every method takes the ``Identity`` that asks; another user's
object is ``NotFound``.
"""

from eudai_core.services.access import Access
from eudai_core.services.accounts import Accounts
from eudai_core.services.administration import Administration
from eudai_core.services.api_keys import ApiKeys
from eudai_core.services.content import Content
from eudai_core.services.conversations import Conversations
from eudai_core.services.files import Files, Upload, Uploaded
from eudai_core.services.instructions import Instructions
from eudai_core.services.invites import Invites
from eudai_core.services.models import Models
from eudai_core.services.operator import Operator
from eudai_core.services.projects import Projects
from eudai_core.services.search import Search
from eudai_core.services.urls import Urls

__all__ = [
    "Access",
    "Accounts",
    "Administration",
    "ApiKeys",
    "Content",
    "Conversations",
    "Files",
    "Instructions",
    "Invites",
    "Models",
    "Operator",
    "Projects",
    "Search",
    "Upload",
    "Uploaded",
    "Urls",
]
