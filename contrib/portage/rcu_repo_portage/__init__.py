# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Lets `emerge --sync` keep its sync-rcu repositories by rcu-repo.

Portage has no place to say which class keeps a repository. Importing this package (rcu_repo_portage.pth does, at the
start of Python) waits for Portage's portage.sync.syncbase to be imported, and then lets it choose
rcu_repo_portage.storage for repositories with sync-rcu. Nothing else is changed, and nothing of Portage is imported here:
a Python that is not Portage's pays for one look at a name for each import.
"""

import importlib.abc
import importlib.util
import sys

SYNCBASE = "portage.sync.syncbase"
STORAGE = "rcu_repo_portage.storage.RcuRepoStorage"


def patch(module):
    """Lets SyncBase of the imported module choose our storage for repositories with sync-rcu."""
    original = module.SyncBase._select_storage_module

    def _select_storage_module(self):
        return STORAGE if self.repo.sync_rcu else original(self)

    module.SyncBase._select_storage_module = _select_storage_module


class _Loader(importlib.abc.Loader):
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != SYNCBASE:
            return None
        # The others find it; we are not asked again meanwhile.
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def install():
    if SYNCBASE in sys.modules:
        patch(sys.modules[SYNCBASE])
    else:
        sys.meta_path.insert(0, _Finder())


install()
