"""What the server does for people: the same services stand behind REST, WebSocket, CLI and library use.

Permissions are checked here, not in the surfaces. Every method takes the ``Identity`` that asks; another user's
object is ``NotFound``.
"""

from eudai_core.services.access import Access
from eudai_core.services.accounts import Accounts
from eudai_core.services.content import Content, Upload
from eudai_core.services.conversations import Conversations
from eudai_core.services.models import Models
from eudai_core.services.projects import Projects

__all__ = ["Access", "Accounts", "Content", "Conversations", "Models", "Projects", "Upload"]
