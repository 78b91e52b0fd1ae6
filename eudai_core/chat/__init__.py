"""The chat engine: commands become runs, runs become answers, and every subscriber sees the same events."""

from eudai_core.chat.ask import Accepted
from eudai_core.chat.frames import Frame
from eudai_core.chat.service import Chat
from eudai_core.chat.subscription import Subscription

__all__ = ["Accepted", "Chat", "Frame", "Subscription"]
