"""Loops bear a server that is away, and nothing else."""

import psycopg
import pytest

from core.reply.host import repeat
from core.reply.patience import Patience

AT_ONCE = Patience(idle=0.0, away=0.0)


async def test_a_loop_bears_a_server_that_is_away() -> None:
    tried = 0

    async def step() -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise psycopg.OperationalError("away")
        raise LookupError

    with pytest.raises(LookupError):
        await repeat("step", step, AT_ONCE)
    assert tried == 3
