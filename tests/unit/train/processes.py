"""Real processes, as a launcher would start them; a server that has imported torch once forks them."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torch._dynamo", "facewright.train"])
LIMIT = 120.0


@contextmanager
def process(work: Callable[..., Any], *args: Any, **environment: str) -> Iterator[ForkServerProcess]:
    """`work(*args)` in a process of its own, which is gone afterwards. work: a function that can be imported."""
    started = SERVER.Process(target=_within, args=(environment, work, args))
    started.start()
    try:
        yield started
    finally:
        started.kill()
        started.join(LIMIT)


def together(world: int, work: Callable[..., Any], *args: Any) -> list[int | None]:
    """`work(rank, *args)` in `world` processes that can find each other; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(world):
        environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        one = SERVER.Process(target=_within, args=({k: str(v) for k, v in environment.items()}, work, (rank, *args)))
        one.start()
        started.append(one)
    for one in started:
        one.join(LIMIT)
        one.kill()
        one.join()
    return [one.exitcode for one in started]


def _within(environment: dict[str, str], work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    import torch

    torch.set_num_threads(1)
    work(*args)
