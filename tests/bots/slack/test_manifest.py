"""The manifest asks for what the code uses, and for nothing else."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bots.slack
from bots.doubles.slack import BOT_USER, OWNER
from bots.doubles.slack_api import SCOPES
from bots.slack.cards import SUGGEST
from bots.slack.scopes import BOT_EVENTS, BOT_SCOPES, OWNER_EVENTS, OWNER_SCOPES
from core.events import ChatRef, Reaction
from tests.bots.slack.life import Life
from tests.contract.slack_platform import MANIFEST

KINDS = ("channels", "groups", "im", "mpim")

METHODS: dict[str, dict[str, set[str]]] = {
    "apps.connections.open": {},
    "auth.test": {},
    "bots.info": {"bot": {"users:read"}},
    "chat.delete": {"owner": {"chat:write"}},
    "chat.getPermalink": {},
    "chat.postMessage": {"owner": {"chat:write"}, "bot": {"chat:write"}},
    "chat.update": {"owner": {"chat:write"}, "bot": {"chat:write"}},
    "conversations.history": {"owner": {f"{kind}:history" for kind in KINDS}, "bot": {"im:history"}},
    "conversations.info": {"owner": {f"{kind}:read" for kind in KINDS}},
    "conversations.list": {"owner": {"im:read", "mpim:read"}},
    "conversations.members": {"owner": {f"{kind}:read" for kind in KINDS if kind != "im"}},
    "conversations.open": {"bot": {"im:write"}},
    "conversations.replies": {"owner": {f"{kind}:history" for kind in KINDS}},
    "files.completeUploadExternal": {"bot": {"files:write"}},
    "files.getUploadURLExternal": {"bot": {"files:write"}},
    "reactions.add": {"owner": {"reactions:write"}},
    "reactions.remove": {"owner": {"reactions:write"}},
    "users.info": {"owner": {"users:read"}},
    "users.list": {"owner": {"users:read"}},
    "views.open": {},
    "views.publish": {},
    "views.update": {},
}
"""What each method asks of each token, after docs.slack.dev."""

EVENTS: dict[str, dict[str, set[str]]] = {
    "app_home_opened": {},
    "app_uninstalled": {},
    "tokens_revoked": {},
    "member_joined_channel": {"owner": {"channels:read", "groups:read"}},
    "member_left_channel": {"owner": {"channels:read", "groups:read"}},
    "message": {"owner": {f"{kind}:history" for kind in KINDS}, "bot": {"im:history"}},
    "reaction_added": {"owner": {"reactions:read"}},
    "reaction_removed": {"owner": {"reactions:read"}},
}
OTHERWISE = {"owner": {"files:read"}, "bot": {"commands"}}
"""Voice clips are downloaded with the owner's token; a shortcut needs `commands`."""

METHOD = re.compile(r"(?:api|apps|auth|bots|chat|conversations|files|reactions|users|views)(?:\.[a-zA-Z]+)+")


def words_of(folder: Path) -> Iterator[str]:
    """Every string in the code of the bot, docstrings aside."""
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def used() -> tuple[set[str], set[str]]:
    """The methods and the types of events that the code names."""
    words = set(words_of(Path(bots.slack.__file__).parent))
    return {
        word for word in words if METHOD.fullmatch(word) and word not in OWNER_EVENTS
    }, words & EVENTS.keys()


def needed(whose: str) -> set[str]:
    methods, events = used()
    asked = [*(METHODS[method] for method in methods), *(EVENTS[event] for event in events), OTHERWISE]
    return set[str]().union(*(one.get(whose, set()) for one in asked))


def manifest() -> dict[str, Any]:
    return json.loads(MANIFEST.read_text())


def test_every_method_that_the_code_calls_is_known_here() -> None:
    methods, events = used()
    assert methods == METHODS.keys()
    assert events == EVENTS.keys()
    assert SCOPES.keys() <= METHODS.keys()


def test_it_asks_for_exactly_the_scopes_that_are_used() -> None:
    scopes = manifest()["oauth_config"]["scopes"]
    assert sorted(needed("owner")) == scopes["user"] == sorted(OWNER_SCOPES)
    assert sorted(needed("bot")) == scopes["bot"] == sorted(BOT_SCOPES)


def test_it_hears_of_exactly_what_the_code_understands() -> None:
    subscribed = manifest()["settings"]["event_subscriptions"]
    assert subscribed["user_events"] == sorted(OWNER_EVENTS)
    assert subscribed["bot_events"] == sorted(BOT_EVENTS)
    assert {event.partition(".")[0] for event in OWNER_EVENTS | BOT_EVENTS} == EVENTS.keys()


def test_the_shortcut_the_home_page_and_socket_mode_are_there() -> None:
    found = manifest()
    (shortcut,) = found["features"]["shortcuts"]
    assert (shortcut["callback_id"], shortcut["type"]) == (SUGGEST, "message")
    assert found["features"]["app_home"] == {
        "home_tab_enabled": True,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }
    assert found["settings"]["socket_mode_enabled"]
    assert found["settings"]["interactivity"]["is_enabled"]
    assert not found["settings"]["org_deploy_enabled"]


async def test_every_kind_of_chat_can_be_read_and_written_with_these_scopes(life: Life) -> None:
    """All tests run with the manifest's scopes and subscriptions; this one visits every kind of chat."""
    for number, kind in enumerate(("im", "mpim", "group", "channel")):
        people = [OWNER, "U0JONAS"] if kind == "im" else [OWNER, "U0JONAS", "U0DANA"]
        channel = life.double.workspace.add_channel(f"X{number}", kind, people)
        stamp = await life.double.writes("U0JONAS", channel.id, "hello")
        await life.double.reacts("U0JONAS", channel.id, stamp, "wave")
        await life.sees(Reaction, number + 1)
        chat = ChatRef(platform="slack", account=life.bot.account, chat=channel.id)
        read = [one async for one in life.bot.history(chat, after=None, limit=9)]
        assert [message.text for message in read] == ["hello"]
        assert len(read[0].members or ()) == len(people) - 1
    assert BOT_USER not in str(life.seen)
