"""What is logged and what is written down holds no words of anybody's and no token of ours."""

import logging

import pytest

from core.bot import Outgoing
from core.events import DraftAction, MessageNew, SuggestAsked
from tests.bots.discord.scene import Scene

WORDS = ("lighthouse", "marmalade", "tangerine", "zeppelin")


async def test_logs_and_state_tell_nothing(
    discord: Scene, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    lighthouse, marmalade, tangerine, zeppelin = WORDS
    chat = discord.server.dm_between(discord.server.owner, discord.jonas)
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, chat, f"the {lighthouse}?")
        await discord.server.say(discord.jonas, discord.with_jonas, marmalade)
        await discord.server.say(discord.jonas, discord.with_jonas, marmalade, timestamp="broken")
        await discord.server.use_command(discord.server.owner, raw, "Suggest a reply")
        (asked,) = await core.wait_for(SuggestAsked)
        await core.wait_for(MessageNew, 2)
        await core.bot.show(discord.card(asked.chat, tangerine, ticket=asked.ticket))
        (interaction,) = discord.server.interactions.values()
        assert interaction.original is not None
        button = discord.button(interaction.original, "Post as the app")
        await discord.server.press(discord.server.owner, interaction.original, button)
        (action,) = await core.wait_for(DraftAction)
        for status in (500, 429, 403, 0):
            discord.server.fail("POST", "webhooks/", status=status)
            await core.bot.send(action.chat, Outgoing(key=f"reply:{status}", text=zeppelin))
        await discord.server.send_op(7)
        await core.quiet()
    logged = caplog.text + "".join(capsys.readouterr())
    tokens = [interaction.token for interaction in discord.server.interactions.values()]
    for secret in (*WORDS, *tokens, discord.server.token):
        assert secret not in logged
    for word in WORDS:
        assert word not in str(discord.state.kept)
    assert discord.server.token not in str(discord.state.kept)
