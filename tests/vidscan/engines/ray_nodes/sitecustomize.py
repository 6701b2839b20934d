"""Put on the path of a test cluster's nodes: has workers come to harm over files whose names say so."""

import os
import signal
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder


class _Poison(MetaPathFinder):
    """Changes the worker's module as soon as it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != "vidscan.engines.ray.worker":
            return None
        spec = PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_and_poison(module):
            load(module)
            ask = module.Worker._ask

            def poisoned(worker):
                source = ask(worker)
                if source is not None and "kills" in source.path.name:
                    os.kill(os.getpid(), signal.SIGKILL)
                if source is not None and "hangs" in source.path.name:
                    time.sleep(600)
                return source

            module.Worker._ask = poisoned

        spec.loader.exec_module = load_and_poison
        return spec


sys.meta_path.insert(0, _Poison())
