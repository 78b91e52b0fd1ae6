"""Create accounts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from eudai_core.cli.running import print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.model import User

__all__ = ["users"]


@click.group()
def users() -> None:
    """Create accounts."""


@users.command()
@click.argument("name")
@click.option("--email", required=True, help="The user's e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of the input.")
@click.option("--admin", is_flag=True, help="Give the user the rights of an administrator.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, email: str, password_stdin: bool, admin: bool, as_json: bool) -> None:
    """Create a user, whoever may sign up otherwise; works while the server runs."""
    quiet()
    user = run_async(_create(name, email, _password(password_stdin), admin))
    if as_json:
        print_json(
            {
                "id": str(user.id),
                "username": user.username,
                "email": user.email,
                "is_admin": user.is_admin,
                "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
            }
        )
    else:
        click.echo(f"Created {user.username} ({user.id}).")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _create(name: str, email: str, password: str, admin: bool) -> User:
    from eudai_core.app import Application
    from eudai_core.schema import prepare_schema

    async with Application.open(background=False) as app:
        await prepare_schema(app.storage, app.host.migrations())  # the first user may come before the first start
        return await app.accounts.create_user(username=name, email=email, password=password, is_admin=admin)
