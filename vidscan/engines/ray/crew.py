"""The workers of a scan on a Ray cluster: Ray places and starts them, and tells when one has died."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vidscan.engines.ray.worker import Installed, Loaded, Worker, require_same
from vidscan.errors import ClusterError, VidscanError, quoted
from vidscan.options import RayOptions
from vidscan.records import Report, Source

log = logging.getLogger(__name__)

CHECK_S = 20.0
"""How long a worker waits for news before it answers a call, and how long an answer takes to come at most."""

SILENCE_LIMIT_S = 600.0
"""A worker that shows none for this long hangs: an ffmpeg that hangs is given up long before."""

PATIENCE_S = 30.0
"""After so long without a worker, what is waited for is logged."""

FRUITLESS_S = 30.0
"""Where for so long workers die before they are ready, and none gets ready, the installation is at fault. A
node that has just died may still be given workers for some seconds."""

PAUSE_S = 1.0
"""Wait before another worker is started in the place of one that died before it was ready."""


class WorkerDied(Exception):  # noqa: N818 - what happened, for the caller to put into words
    """A worker is gone, and with it what it had in hand; the message says how."""


@dataclass(slots=True, eq=False)
class Member:
    """A worker as the driver knows it.

    ``call`` is under way there; None while the driver owes it an answer. ``ended_for``: why it was ended.
    """

    handle: Any
    call: Any
    ready: bool = False
    held: deque[Source] = field(default_factory=deque)
    called_at: float = 0.0
    ended_for: str = ""

    def step(self, *answers: Source | None) -> None:
        """Answers the worker's questions, and has it tell what comes next."""
        named = [source and replace(source, path=source.path.absolute()) for source in answers]
        self.call, self.called_at = self.handle.step.remote(named, CHECK_S), time.monotonic()

    def send(self, source: Source | None) -> None:
        """Answers one question."""
        self.step(source)


class Crew:
    """Starts the workers, compares what is installed beside them, and replaces those that die.

    ``members``: the workers, those that Ray has yet to start counted in. ``runtimes``: what they compute
    each checkpoint with; empty until one is ready.
    """

    def __init__(self, ray: Any, asked: RayOptions, job: bytes, installed: Installed, loaded: Loaded) -> None:
        """``installed`` and ``loaded`` are what workers must agree with; ``job`` is a pickled ``Job``."""
        self._ray, self._asked, self._job = ray, asked, job
        self._installed, self._loaded = installed, loaded
        self._fruitless_since: float | None = None
        self._gpus = 0.0
        self.members: list[Member] = []
        self.runtimes: tuple[str, ...] = ()

    def start(self) -> None:
        """Has Ray start the workers, and waits until one is ready; raises as :meth:`RayEngine.__enter__`."""
        gpus = self._asked.gpus
        if gpus is None:
            gpus = 1.0 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
        self._gpus = gpus
        for _ in range(self._asked.workers or self._room()):
            self._enlist()
        started, told = time.monotonic(), False
        while not self.runtimes:
            self.news(1.0)
            if not told and time.monotonic() - started > PATIENCE_S:
                told = True
                log.warning(
                    "the Ray cluster has not started a worker yet (each takes %s): waiting", self._share()
                )

    def news(self, timeout_s: float) -> list[Member]:
        """Waits for the first worker that has told something, or died; returns all such workers.

        Workers that got ready are greeted on the way, and those that hang are ended.
        """
        calls = {member.call: member for member in self.members if member.call is not None}
        if not calls:
            return []
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=timeout_s)
        if done:  # and what came at the same time
            done, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        for call in calls.keys() - done:
            silent_s = time.monotonic() - calls[call].called_at
            if calls[call].ready and silent_s > SILENCE_LIMIT_S:
                self._end(calls[call], silent_s)
        came = [calls[call] for call in done]
        told = [member for member in came if member.ready]
        for member in came:
            if not member.ready:
                self._greet(member)
        return told

    def hear(self, member: Member) -> list[Report | None]:
        """What a worker told: reports and, as None, questions; raises WorkerDied, or what ended its scan."""
        try:
            told, silent_s = self._value(member.call)
        except WorkerDied as death:
            raise WorkerDied(member.ended_for or str(death)) from death
        if silent_s > SILENCE_LIMIT_S:
            self._end(member, silent_s)
        member.call = None
        return list(told)

    def _value(self, call: Any) -> Any:
        """What a call gave; raises WorkerDied, what vidscan raised there, or ClusterError for all else."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(call, timeout=CHECK_S)
        except errors.RayTaskError as error:
            if isinstance(error.cause, VidscanError):
                raise error.cause from None
            raise ClusterError(
                f"vidscan failed on a node of the Ray cluster ({quoted(str(error.cause))}): check that the "
                "same version is installed there"
            ) from error
        except errors.RayError as error:
            raise WorkerDied(_last_words(error)) from error

    def replace(self, member: Member) -> None:
        """Has Ray start another worker in the place of one that died."""
        self.members.remove(member)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(member.handle)  # it may only have been out of reach
        self._enlist()

    def _end(self, member: Member, silent_s: float) -> None:
        """Ends a worker that hangs, which its next call shows as a death."""
        member.ended_for = f"it gave no sign of life for {silent_s:.0f} s"
        self._ray.kill(member.handle)

    def _room(self) -> int:
        room = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                offered = node["Resources"]
                by_gpu = offered.get("GPU", 0) / self._gpus if self._gpus else math.inf
                room += int(min(offered.get("CPU", 0) / self._asked.cpus, by_gpu))
        if not room:
            raise ClusterError(
                f"no node of the Ray cluster has {self._share()} for a worker: ask for less with --ray-cpus "
                "and --ray-gpus, or name with --ray-workers how many shall be waited for"
            )
        return room

    def _share(self) -> str:
        cpus = f"{self._asked.cpus} CPU{'s' if self._asked.cpus > 1 else ''}"
        return cpus + (f" and {self._gpus:g} GPU" if self._gpus else "")

    def _enlist(self) -> None:
        """Has Ray start one more worker, where and when there is room."""
        actor = self._ray.remote(
            num_cpus=self._asked.cpus, num_gpus=self._gpus, max_restarts=0, max_task_retries=0
        )(Worker)
        handle = actor.remote()
        self.members.append(Member(handle, handle.prepare.remote(self._installed, self._job)))

    def _greet(self, member: Member) -> None:
        """Takes in a worker that says it is ready, or has another started in the place of one that died."""
        try:
            there, loaded_there = self._value(member.call)
        except WorkerDied as death:
            now = time.monotonic()
            self._fruitless_since = self._fruitless_since or now
            if now - self._fruitless_since > FRUITLESS_S:
                raise ClusterError(
                    f"workers on the Ray cluster die before they are ready ({death}): check that every node "
                    "has the same vidscan, and memory enough"
                ) from death
            time.sleep(PAUSE_S)
            self.replace(member)
            return
        require_same(self._installed, there)
        self._compare_loaded(loaded_there)
        self._fruitless_since = None
        member.ready = True
        member.step()

    def _compare_loaded(self, there: Loaded) -> None:
        if there.checkpoints != self._loaded.checkpoints:
            raise ClusterError(
                "a node of the Ray cluster has another checkpoint under the same name (SHA-256 "
                f"{', '.join(each[:12] for each in there.checkpoints)}; here "
                f"{', '.join(each[:12] for each in self._loaded.checkpoints)}): put the same file there"
            )
        if self.runtimes and there.runtimes != self.runtimes:
            raise ClusterError(
                f"the nodes of the Ray cluster compute with different runtimes ({', '.join(self.runtimes)}; "
                f"{', '.join(there.runtimes)}): choose one with --runtime"
            )
        self.runtimes = there.runtimes


def _last_words(error: Exception) -> str:
    """How a worker went, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error:" in line or "exit" in line.lower()]
    return quoted((telling or lines or [type(error).__name__])[-1])
