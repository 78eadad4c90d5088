"""An import that overlaps what was captured live meets the same rows."""

import json
from pathlib import Path

from core.events import MessageNew
from tests.bots.discord.scene import Scene
from tests.core.history.exports import messages


def exported(live: MessageNew, kind: str) -> dict[str, object]:
    """The message as DiscordChatExporter writes it."""
    author = {"id": live.sender.id, "name": live.sender.name, "nickname": live.sender.name, "isBot": False}
    return {
        "id": live.message_id,
        "type": kind,
        "timestamp": live.at.isoformat(),
        "timestampEdited": None,
        "content": live.text,
        "author": author,
        "attachments": [],
        "reactions": [],
        "reference": {"messageId": live.reply_to} if live.reply_to else None,
    }


async def test_live_and_imported_messages_are_the_same_rows(discord: Scene, tmp_path: Path) -> None:
    thread = discord.server.add_channel("knots", discord.guild, thread_of=discord.channel)
    async with discord.running() as core:
        first = await discord.server.say(discord.dana, thread, "figure eight")
        reference = {"message_id": first["id"]}
        await discord.server.say(discord.jonas, thread, "bowline", message_reference=reference)
        found = await core.wait_for(MessageNew, 2)
    path = tmp_path / "knots.json"
    channel = {"id": thread, "type": "GuildPublicThread", "name": "knots"}
    path.write_text(
        json.dumps(
            {
                "guild": {"id": discord.guild, "name": "Climbing"},
                "channel": channel,
                "messages": [
                    exported(live, kind) for live, kind in zip(found, ("Default", "Reply"), strict=True)
                ],
            }
        )
    )
    imported = messages(path)
    assert [(m.chat.id, m.chat.kind, m.chat.title) for m in imported] == [
        (m.chat.chat, m.chat_kind, m.chat_title) for m in found
    ]
    assert [
        (m.id, m.sender.id, m.sender.name, m.text, m.reply_to, m.sent_at, m.thread) for m in imported
    ] == [(m.message_id, m.sender.id, m.sender.name, m.text, m.reply_to, m.at, m.chat.thread) for m in found]
