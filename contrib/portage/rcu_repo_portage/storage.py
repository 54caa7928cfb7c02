# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Portage's storage interface on top of rcu-repo: init_update is `begin`, commit_update `commit`, abort_update `abort`,
garbage_collection `gc`. So pins, locks, crashes and age are rcu-repo's, and Portage's own rsync fills the tree.
"""

import os
import subprocess

from portage.repository.storage.interface import RepoStorageException, RepoStorageInterface

# What Portage's rsync leaves alone in a repository; a snapshot would swallow it.
EXCLUDED = ("distfiles", "local", "packages")


class RcuRepoStorage(RepoStorageInterface):
    def __init__(self, repo, spawn_kwargs):
        if not repo.sync_allow_hardlinks:
            raise RepoStorageException(
                f"repos.conf sync-rcu setting for repo '{repo.name}' requires that sync-allow-hardlinks be enabled"
            )
        if not repo.sync_rcu_store_dir:
            raise RepoStorageException(
                f"repos.conf sync-rcu setting for repo '{repo.name}' requires that sync-rcu-store-dir be set"
            )
        self._location = repo.user_location
        self._store = repo.sync_rcu_store_dir
        self._update_location = None
        self._set = []
        for key in ("sync_rcu_spare_snapshots", "sync_rcu_ttl_days", "sync_user"):
            value = getattr(repo, key)
            if value is not None:
                self._set += ["--set", f"{key.replace('_', '-')}={value}"]

    def _rcu_repo(self, command, *arguments):
        """Runs it, and returns what it prints. Its messages go where ours go."""
        args = [os.environ.get("RCU_REPO", "rcu-repo"), command, "--location", self._location, "--store", self._store]
        try:
            result = subprocess.run(
                args + self._set + list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
            )
        except OSError as error:
            raise RepoStorageException(f"{args[0]}: {error.strerror}") from error
        if result.returncode != os.EX_OK:
            raise RepoStorageException(f"rcu-repo {command} exited with status {result.returncode}")
        return os.fsdecode(result.stdout).removesuffix("\n")

    def _check(self):
        # Portage makes an empty directory of what it syncs into and does not find: where LOCATION is a link into a
        # store that is gone, that is in the place of the store's link.
        try:
            os.rmdir(os.path.join(self._store, "latest"))
        except OSError:
            pass
        if not os.path.islink(self._location):
            for name in EXCLUDED:
                if os.path.lexists(os.path.join(self._location, name)):
                    raise RepoStorageException(
                        f"{self._location}/{name} would be in every snapshot: move it elsewhere first"
                    )

    async def init_update(self):
        self._check()
        # Held for this process: when it ends, however, the staged tree is void.
        location = self._rcu_repo("begin", "--owner", str(os.getpid()))
        if os.geteuid() == 0 and os.path.isdir(self._location):
            # As Portage does: whoever the sync runs as owns what it fills.
            st = os.stat(self._location)
            os.chown(location, st.st_uid, st.st_gid)
        self._update_location = location
        return location

    @property
    def current_update(self):
        if self._update_location is None:
            raise RepoStorageException("current update does not exist")
        return self._update_location

    async def commit_update(self):
        location = self.current_update
        self._update_location = None
        self._rcu_repo("commit", "--staging", location)

    async def abort_update(self):
        if self._update_location is not None:
            location = self._update_location
            self._update_location = None
            self._rcu_repo("abort", "--staging", location)

    async def garbage_collection(self):
        self._rcu_repo("gc")
