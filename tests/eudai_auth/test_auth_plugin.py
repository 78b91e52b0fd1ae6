"""The plugin object: what it registers, what it costs to import, and the ownership policy."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest

from eudai_auth import plugin
from eudai_auth.settings import AuthSettings
from eudai_core.ids import new_id
from eudai_core.model import Decision, Identity, ResourceRef


def test_every_late_name_is_there() -> None:
    registered: dict[str, Any] = {}
    for hook in ("password_hashers", "token_issuers", "authenticators", "settings"):
        getattr(plugin, f"eudai_register_{hook}")(
            lambda name, value, hook=hook: registered.update({f"{hook} {name}": value})
        )
    assert registered.pop("settings auth") is AuthSettings
    names = {"password_hashers bcrypt", "token_issuers jwt", "authenticators jwt", "authenticators api_key"}
    assert set(registered) == names
    for late in registered.values():
        module, _, name = late.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, eudai_auth; print([m for m in ('jwt', 'bcrypt', 'cryptography', 'asyncio') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


ME, OTHER = new_id(), new_id()


@pytest.mark.parametrize("action", ["read", "write", "delete", "create"])
async def test_owners_may(action: str) -> None:
    vote = await plugin.eudai_authorize(Identity(ME, "me"), action, ResourceRef("project", new_id(), ME))
    assert vote is Decision.ALLOW


@pytest.mark.parametrize("action", ["read", "write", "delete", "create"])
@pytest.mark.parametrize("admin", [True, False])
async def test_others_get_no_vote(action: str, admin: bool) -> None:
    vote = await plugin.eudai_authorize(Identity(ME, "me", admin), action, ResourceRef("project", new_id(), OTHER))
    assert vote is None


@pytest.mark.parametrize(("action", "expected"), [("create", Decision.ALLOW), ("read", None), ("delete", None)])
async def test_what_is_nobodys_can_be_created_only(action: str, expected: Decision | None) -> None:
    vote = await plugin.eudai_authorize(Identity(ME, "me"), action, ResourceRef("project", None, None))
    assert vote is expected
