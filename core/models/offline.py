"""No model library calls home: said in one place, before any of them is imported."""

import os

CLOSED = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DO_NOT_TRACK": "1",
    "DISABLE_TELEMETRY": "1",
}
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


def stay_offline() -> None:
    """Close every road to a model hub for this process and its children.

    Every function that imports a model library calls this first; `locum models fetch` alone
    does not.
    """
    os.environ.update(CLOSED)
    os.environ.update(QUIET)
