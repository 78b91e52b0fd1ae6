"""Projects, instructions and conversations over REST."""

from __future__ import annotations

from support.client import Client, client
from support.server import RunningServer


async def test_a_project_is_created_read_changed_and_deleted(user: Client) -> None:
    made = await user.call("POST", "/api/projects", {"name": "Garden", "description": "Roses"}, status=201)
    assert set(made) == {"id", "name", "description", "settings", "counts", "created_at", "updated_at"}
    assert made["counts"] == {"files": 0, "urls": 0, "instructions": 0, "conversations": 0}
    path = f"/api/projects/{made['id']}"
    assert await user.call("GET", path) == made
    changed = await user.call("PUT", path, {"name": "Garden 2", "settings": {"model": "x"}})
    assert (changed["name"], changed["description"], changed["settings"]) == ("Garden 2", "Roses", {"model": "x"})
    await user.call("DELETE", path, status=204)
    await user.call("GET", path, status=404)


async def test_lists_are_paged_newest_first(user: Client) -> None:
    made = [await user.project(f"P{number}") for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await user.call("GET", f"/api/projects?limit=2{cursor}")
        assert len(page["items"]) <= 2
        seen += [project["id"] for project in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == list(reversed(made))


async def test_if_match_guards_against_lost_changes(user: Client) -> None:
    path = f"/api/projects/{await user.project()}"
    tag = (await user.request("GET", path)).headers["ETag"]
    first = await user.request("PUT", path, body={"name": "one"}, headers={"If-Match": tag})
    assert first.status == 200
    second = await user.request("PUT", path, body={"name": "two"}, headers={"If-Match": tag})
    assert (second.status, second.json["title"]) == (412, "Precondition failed")
    odd = await user.request("PUT", path, body={"name": "two"}, headers={"If-Match": '"nonsense"'})
    assert odd.status == 412
    any_version = await user.request("PUT", path, body={"name": "three"}, headers={"If-Match": "*"})
    assert any_version.json["name"] == "three"


async def test_instructions_are_kept_in_their_order(user: Client) -> None:
    path = f"/api/projects/{await user.project()}/instructions"
    second = await user.call("POST", path, {"instruction_text": "Be brief.", "position": 2}, status=201)
    first = await user.call("POST", path, {"instruction_text": "Be kind."}, status=201)
    assert set(first) == {
        "id",
        "project_id",
        "instruction_text",
        "position",
        "enabled",
        "version",
        "created_at",
    }
    listed = await user.call("GET", path)
    assert [one["id"] for one in listed["items"]] == [first["id"], second["id"]]
    changed = await user.call("PUT", f"{path}/{second['id']}", {"enabled": False})
    assert (changed["instruction_text"], changed["enabled"]) == ("Be brief.", False)
    assert await user.call("GET", f"{path}/{second['id']}") == changed
    await user.call("DELETE", f"{path}/{first['id']}", status=204)
    await user.call("GET", f"{path}/{first['id']}", status=404)


async def test_conversations_are_listed_per_project_and_across(user: Client) -> None:
    one, other = await user.project(), await user.project()
    made = await user.call("POST", f"/api/projects/{one}/conversations", {"title": "Hello"}, status=201)
    await user.conversation(other)
    assert set(made) == {
        "id",
        "project_id",
        "title",
        "model",
        "active_message_id",
        "seq",
        "created_at",
        "updated_at",
    }
    here = await user.call("GET", f"/api/projects/{one}/conversations")
    assert [conversation["id"] for conversation in here["items"]] == [made["id"]]
    assert len((await user.call("GET", "/api/conversations"))["items"]) == 2
    single = await user.call("GET", f"/api/projects/{one}/conversations/{made['id']}")
    assert single["messages"] == {"items": [], "next": None}
    await user.call("GET", f"/api/projects/{other}/conversations/{made['id']}", status=404)


async def test_a_conversation_is_renamed_given_a_model_and_deleted(user: Client) -> None:
    path = f"/api/conversations/{await user.conversation()}"
    tag = (await user.request("GET", path)).headers["ETag"]
    changed = await user.request("PATCH", path, body={"title": "New", "model": "m"}, headers={"If-Match": tag})
    assert (changed.json["title"], changed.json["model"]) == ("New", "m")
    stale = await user.request("PATCH", path, body={"title": "Newer"}, headers={"If-Match": tag})
    assert stale.status == 412
    assert (await user.call("PATCH", path, {"model": None}))["model"] is None
    await user.call("DELETE", path, status=204)
    await user.call("GET", path, status=404)


async def test_other_users_objects_are_not_there(server: RunningServer, user: Client) -> None:
    project = await user.project()
    conversation = await user.conversation(project)
    instruction = await user.call(
        "POST", f"/api/projects/{project}/instructions", {"instruction_text": "x"}, status=201
    )
    async with client(server.url) as stranger:
        own = await stranger.project()
        for method, path, body in (
            ("GET", f"/api/projects/{project}", None),
            ("PUT", f"/api/projects/{project}", {"name": "mine"}),
            ("DELETE", f"/api/projects/{project}", None),
            ("GET", f"/api/projects/{project}/files", None),
            ("GET", f"/api/projects/{project}/instructions/{instruction['id']}", None),
            ("DELETE", f"/api/projects/{project}/instructions/{instruction['id']}", None),
            ("GET", f"/api/projects/{own}/instructions/{instruction['id']}", None),
            ("GET", f"/api/projects/{project}/conversations", None),
            ("POST", f"/api/projects/{project}/conversations", {}),
            ("GET", f"/api/projects/{own}/conversations/{conversation}", None),
            ("GET", f"/api/conversations/{conversation}", None),
            ("PATCH", f"/api/conversations/{conversation}", {"title": "mine"}),
            ("DELETE", f"/api/conversations/{conversation}", None),
            ("POST", f"/api/conversations/{conversation}/messages", {"content": "hi"}),
            ("POST", f"/api/conversations/{conversation}/stop", {}),
            ("POST", f"/api/conversations/{conversation}/regenerate", {}),
            ("GET", f"/api/conversations/{conversation}/events", None),
            ("GET", f"/api/download/conversations/{conversation}", None),
        ):
            answer = await stranger.request(method, path, body=body)
            assert (answer.status, answer.json["title"]) == (404, "Not found"), (method, path)
    assert (await user.call("GET", f"/api/projects/{project}"))["name"] == "A project"
