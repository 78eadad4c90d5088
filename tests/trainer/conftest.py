"""The tiny model of core's tests, on one thread."""

from typing import Any, cast

import pytest

from core.models.offline import stay_offline
from tests.core.models.tiny import Tiny, make_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    stay_offline()
    import torch  # noqa: PLC0415 -- seconds, and only where it is trained

    cast("Any", torch).set_num_threads(1)
    return make_tiny(tmp_path_factory.mktemp("tiny"))
