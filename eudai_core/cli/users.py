"""Create, list and change accounts, and invite people."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from eudai_core.cli.options import database_options, json_option
from eudai_core.cli.running import print_json, print_table, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.app import Application
    from eudai_core.model import Invite, User

__all__ = ["users"]

_name = click.argument("name")


@click.group()
def users() -> None:
    """Create, list and change accounts, and invite people.

    NAME is a username or an e-mail address. All of it works while the server runs: what is ended here ends there at
    once with PostgreSQL, and within five seconds, for open connections within a minute, with the embedded database.
    """


@users.command()
@_name
@click.option("--email", required=True, help="The user's e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of the input.")
@click.option("--admin", is_flag=True, help="Give the user the rights of an administrator.")
@database_options
@json_option
def create(
    name: str, email: str, password_stdin: bool, admin: bool, overrides: Mapping[str, str], as_json: bool
) -> None:
    """Create a user, whoever may sign up otherwise."""
    password = _password(password_stdin)

    async def work() -> User:
        async with _opened(overrides) as app:
            return await app.accounts.create_user(username=name, email=email, password=password, is_admin=admin)

    user = run_async(work())
    if as_json:
        print_json({key: value for key, value in _user(user).items() if key != "disabled"})
    else:
        click.echo(f"Created {user.username} ({user.id}).")


@users.command("list")
@database_options
@json_option
def list_users(overrides: Mapping[str, str], as_json: bool) -> None:
    """List all accounts, newest first."""

    async def work() -> list[User]:
        async with _opened(overrides) as app:
            page = await app.operator.users(limit=200)
            found = list(page.items)
            while page.next is not None:
                page = await app.operator.users(cursor=page.next, limit=200)
                found += page.items
            return found

    found = run_async(work())
    if as_json:
        print_json([_user(user) for user in found])
        return
    rows = [(user.username, user.email, _time(user.created_at), _remarks(user)) for user in found]
    print_table(("NAME", "E-MAIL", "SINCE", "REMARKS"), rows)


@users.command()
@_name
@database_options
@json_option
def disable(name: str, overrides: Mapping[str, str], as_json: bool) -> None:
    """Disable an account: its sessions end, and its keys are worthless."""
    _change(name, overrides, as_json, "Disabled", disabled=True)


@users.command()
@_name
@database_options
@json_option
def enable(name: str, overrides: Mapping[str, str], as_json: bool) -> None:
    """Enable an account again; its user logs in anew, and its keys are good again."""
    _change(name, overrides, as_json, "Enabled", disabled=False)


@users.command("make-admin")
@_name
@click.option("--revoke", is_flag=True, help="Take the rights away instead.")
@database_options
@json_option
def make_admin(name: str, revoke: bool, overrides: Mapping[str, str], as_json: bool) -> None:
    """Give an account the rights of an administrator."""
    _change(name, overrides, as_json, "Changed", is_admin=not revoke)


@users.command("reset-password")
@_name
@database_options
@json_option
def reset_password(name: str, overrides: Mapping[str, str], as_json: bool) -> None:
    """Give an account a new random password, and end its sessions."""

    async def work() -> tuple[User, str]:
        async with _opened(overrides) as app:
            return await app.operator.reset_password((await app.operator.find(name)).id)

    user, password = run_async(work())
    if as_json:
        print_json({**_user(user), "password": password})
    else:
        click.echo(f"New password of {user.username}, shown this once:", err=True)
        click.echo(password)


@users.command()
@click.option("--note", default="", help="Whom it is for.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How long it is good for.")
@database_options
@json_option
def invite(note: str, days: int, overrides: Mapping[str, str], as_json: bool) -> None:
    """Make an invitation, with which one person can sign up."""

    async def work() -> tuple[Invite, str]:
        async with _opened(overrides) as app:
            expires_at = app.clock.now() + timedelta(days=days)
            return await app.invites.create(created_by=None, note=note, expires_at=expires_at)

    made, code = run_async(work())
    if as_json:
        print_json({"id": str(made.id), "note": note, "expires_at": _time(made.expires_at), "code": code})
    else:
        click.echo(f"Good until {_time(made.expires_at)}, for one account; shown this once:", err=True)
        click.echo(code)


def _change(name: str, overrides: Mapping[str, str], as_json: bool, done: str, **changes: bool) -> None:
    async def work() -> User:
        async with _opened(overrides) as app:
            return await app.operator.change((await app.operator.find(name)).id, **changes)

    user = run_async(work())
    if as_json:
        print_json(_user(user))
    else:
        click.echo(f"{done} {user.username} ({user.id}).")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for the password: give it with --password-stdin.")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


@asynccontextmanager
async def _opened(overrides: Mapping[str, str]) -> AsyncGenerator[Application]:
    from eudai_core.app import Application
    from eudai_core.schema import prepare_schema

    quiet()
    async with Application.open(overrides=overrides, background=False) as app:
        await prepare_schema(app.storage, app.host)  # the first user may come before the first start
        yield app


def _user(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "is_admin": user.is_admin,
        "disabled": user.disabled,
        "created_at": _time(user.created_at),
    }


def _remarks(user: User) -> str:
    return ", ".join(word for word, said in (("administrator", user.is_admin), ("disabled", user.disabled)) if said)


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
