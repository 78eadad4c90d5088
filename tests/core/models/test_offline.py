"""With the default settings no model library looks for a network."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, json, socket, sys

tried = []

def watch(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        target = args[1] if event in {"socket.connect", "socket.sendto"} else args[0]
        if not isinstance(target, (str, bytes)) or event.startswith("socket.get"):
            tried.append(f"{event} {target}")
            raise OSError("the network is closed")

sys.addaudithook(watch)

from core.models.choose import open_embedder, open_generator, open_torch, choose_threads, find_weights
from core.models.faces import ChatTurn, Sampling
from core.settings import Settings

async def main():
    settings = Settings(_env_file=None)
    turns = [ChatTurn(role="system", text="You are Mara."), ChatTurn(role="user", text="Say hello")]
    short = Sampling(max_tokens=8, temperature=0)
    embedder = await open_embedder(settings)
    rows = await embedder.embed(["hello", "hi there", "gradient descent"])
    llama = await open_generator(settings)
    weights = find_weights(settings.home, settings.base_model)
    torch = await open_torch(settings.home, weights, choose_threads(1))
    said = {}
    for name, generator in (("llama", llama), ("torch", torch)):
        drawn = await generator.chat(turns, sampling=short)
        said[name] = [await generator.count_tokens(turns), drawn[0].text]
        await generator.close()
    await embedder.close()
    nearer = bool(rows[0] @ rows[1] > rows[0] @ rows[2])
    print(json.dumps({"tried": tried, "said": said, "nearer": nearer, "name": llama.name == torch.name}))

asyncio.run(main())
"""


def test_the_default_models_load_and_answer_with_the_network_closed(tmp_path: Path) -> None:
    """SmolLM2 through both backends: same prompt tokens, same greedy words, no road to a network."""
    environment = {"LOCUM_HOME": str(tmp_path), "LOCUM_BACKEND": "llama", "PATH": "/usr/bin:/bin"}
    command = [*_without_network(), sys.executable, "-c", SCRIPT]
    told = subprocess.run(
        command,
        env={**environment, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout.splitlines()[-1])
    assert answer["tried"] == []
    assert answer["nearer"]
    assert answer["name"]
    assert answer["said"]["llama"] == answer["said"]["torch"]


def _without_network() -> list[str]:
    """A network namespace of its own where this machine permits one; else the script's own guard."""
    command = ["unshare", "--net", "--map-root-user"]
    try:
        permitted = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return []
    return command if permitted else []
