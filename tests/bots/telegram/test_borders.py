"""What the bot and its double bring into a process."""

import subprocess
import sys


def test_neither_the_bot_nor_a_double_without_checks_needs_what_only_tests_have() -> None:
    program = """
import asyncio, sys
import bots.telegram.bot, bots.telegram.check
from bots.doubles.telegram import TelegramDouble
from bots.doubles.telegram_world import person

async def main():
    async with TelegramDouble(owner=person(1, "Mara"), validate=False) as telegram:
        telegram.world.connects()
        telegram.world.contact_writes(person(2, "Jonas"), "hi")
        assert len(telegram.world.updates) == 2

asyncio.run(main())
print([name for name in ("aiogram", "torch", "nicegui", "discord", "slack_bolt") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
