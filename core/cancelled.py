"""Whether the running task is wanted to end: for loops that bear errors, and awaits that swallow the wish."""

import asyncio


def is_cancelled() -> bool:
    """True when somebody wants the running task to end.

    A query that is given up half-way may fail in its own way, and that error then stands where the
    cancellation stood; before Python 3.12, `asyncio.wait_for`, which the pool and the Redis client await,
    gives back a result that comes at the same moment, and the cancellation is gone. A loop that would go
    on for ever asks here before each round.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
