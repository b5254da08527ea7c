"""One network in memory for all who ask for it: restorers of different choices share what they can."""

from __future__ import annotations

import threading
from collections import OrderedDict

from facewright.app.options import Options
from facewright.restore import Restorer, Settings

NETWORKS = 2
"""Face networks that stay loaded: what most people use, and what somebody tries beside it."""
VARIANTS = 16
"""Choices beside the network that are remembered, with the models that fill backgrounds or outline faces."""


class Restorers:
    """Restorers by options. device, precision, batch: as in `Settings`."""

    def __init__(self, device: str = "auto", precision: str = "auto", batch: int = 8) -> None:
        self.device, self.precision, self.batch = device, precision, batch
        self._known: OrderedDict[Settings, Restorer] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, options: Options) -> Restorer:
        """The restorer for these options; loads what is not here yet. Raises ModelError, UsageError."""
        wanted = Settings(**options.settings, device=self.device, precision=self.precision, batch=self.batch)
        with self._lock:
            restorer = self._known.get(wanted)
            if restorer is None:
                restorer = self._made(wanted)
            self._known[wanted] = restorer
            self._known.move_to_end(wanted)
            self._forget()
        return restorer

    @property
    def loaded(self) -> int:
        """How many face networks are in memory."""
        with self._lock:
            return len({id(each.network) for each in self._known.values()})

    def _made(self, wanted: Settings) -> Restorer:
        """From whichever restorer has most of it, the latest first."""
        for like in (("model", "seed", "background", "mask", "detector"), ("model", "seed"), ()):
            for known in reversed(self._known.values()):
                if all(getattr(known.settings, name) == getattr(wanted, name) for name in like):
                    return known.changed(**wanted.asdict())
        return Restorer(wanted)

    def _forget(self) -> None:
        """Of the restorers used longest ago, those beyond VARIANTS, and all of a network beyond NETWORKS."""
        networks: list[int] = []
        for settings, restorer in reversed(list(self._known.items())):
            if id(restorer.network) not in networks:
                networks.append(id(restorer.network))
            if networks.index(id(restorer.network)) >= NETWORKS:
                del self._known[settings]
        while len(self._known) > VARIANTS:
            self._known.popitem(last=False)
