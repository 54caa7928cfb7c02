# SPDX-License-Identifier: LGPL-2.1-or-later
# The two programs and the library that they and the unit tests share.
noinst_LIBRARIES += helper/libhelper.a
helper_libhelper_a_SOURCES = \
	helper/alloc.c helper/alloc.h \
	helper/aside.c helper/aside.h \
	helper/changes.c helper/changes.h \
	helper/check.c helper/check.h \
	helper/climb.c helper/climb.h \
	helper/conf.c helper/conf.h \
	helper/crew.c helper/crew.h \
	helper/deletions.c helper/deletions.h \
	helper/digest.c helper/digest.h \
	helper/err.c helper/err.h \
	helper/files.c helper/files.h \
	helper/held.c helper/held.h \
	helper/guard.c helper/guard.h \
	helper/guard_apply.c helper/guard_apply.h \
	helper/guard_kernel.c helper/guard_kernel.h \
	helper/hooks.c helper/hooks.h \
	helper/identity.c helper/identity.h \
	helper/jobs.c helper/jobs.h \
	helper/keeper.c helper/keeper.h \
	helper/keys.c helper/keys.h \
	helper/loadable.c helper/loadable.h \
	helper/lock.c helper/lock.h \
	helper/meta.c helper/meta.h \
	helper/migrate.c helper/migrate.h \
	helper/mounts.c helper/mounts.h \
	helper/namespace.c helper/namespace.h \
	helper/namespace_cover.c helper/namespace_cover.h \
	helper/object.c helper/object.h \
	helper/options.c helper/options.h \
	helper/occupants.c helper/occupants.h \
	helper/order.c helper/order.h \
	helper/pin.c helper/pin.h \
	helper/pinning.c helper/pinning.h \
	helper/places.c helper/places.h \
	helper/publish.c helper/publish.h \
	helper/readers.c helper/readers.h \
	helper/reach.c helper/reach.h \
	helper/reclaim.c helper/reclaim.h \
	helper/record.c helper/record.h \
	helper/repos.c helper/repos.h \
	helper/reservation.c helper/reservation.h \
	helper/run.c helper/run.h \
	helper/set.c helper/set.h \
	helper/snapshot/hardlink.c helper/snapshot/seal.c helper/snapshot/seal.h helper/snapshot/storage.c helper/snapshot/storage.h \
	helper/space.c helper/space.h \
	helper/store.c helper/store.h \
	helper/swarm.c helper/swarm.h \
	helper/sweep.c helper/sweep.h \
	helper/text.c helper/text.h \
	helper/transport/archive.c \
	helper/transport/below.c helper/transport/below.h \
	helper/transport/command.c \
	helper/transport/git.c helper/transport/git_run.c helper/transport/git_run.h \
	helper/transport/local.c \
	helper/transport/rsync.c helper/transport/source.c helper/transport/source.h \
	helper/transport/transport.c helper/transport/transport.h \
	helper/transport/unpack.c helper/transport/unpack.h \
	helper/transport/unpack_squashfs.c helper/transport/unpack_tar.c \
	helper/tree-clone.c helper/tree-copy.c helper/tree-delete.c helper/tree-diff.c helper/tree-forward.c \
	helper/tree-measure.c \
	helper/tree-same.c helper/tree-share.c \
	helper/tree.h \
	helper/trust.c helper/trust.h \
	helper/user.c helper/user.h \
	helper/verify.c helper/verify.h \
	helper/walk.c helper/walk.h \
	helper/words.c helper/words.h
helper_libhelper_a_CPPFLAGS = $(AM_CPPFLAGS) -DGUARD_LIBRARY_PATH='"$(pkglibdir)/librcu-guard.so"'
helper_libhelper_a_CFLAGS = $(AM_CFLAGS) $(INIH_CFLAGS) $(ARCHIVE_CFLAGS) $(CRYPTO_CFLAGS) -pthread
HELPER_LIBS = helper/libhelper.a core/libcore.a $(INIH_LIBS) $(ARCHIVE_LIBS) $(CRYPTO_LIBS) -lpthread

bin_PROGRAMS += helper/rcu-exec
helper_rcu_exec_SOURCES = helper/rcu-exec.c
helper_rcu_exec_CPPFLAGS = $(AM_CPPFLAGS) -DSHIM_DIR='"$(pkglibdir)"' -DSHIM_NAME='"librcu-exec.so"'
if MULTILIB
helper_rcu_exec_CPPFLAGS += -DSHIM_LIB64='"$(LIB64)"' -DSHIM_LIB32='"$(LIB32)"'
endif
helper_rcu_exec_LDADD = $(HELPER_LIBS)

sbin_PROGRAMS += helper/rcu-repo
helper_rcu_repo_SOURCES = \
	helper/rcu-repo.c helper/command.c helper/command.h \
	helper/look.c helper/look.h \
	helper/progress.c helper/progress.h \
	helper/session.c helper/session.h \
	helper/table.c helper/table.h \
	helper/together.c helper/together.h \
	helper/cmd-abort.c \
	helper/cmd-begin.c \
	helper/cmd-check.c \
	helper/cmd-commit.c \
	helper/cmd-diff.c \
	helper/cmd-gc.c \
	helper/cmd-keep.c \
	helper/cmd-list.c \
	helper/cmd-readers.c \
	helper/cmd-release.c \
	helper/cmd-rollback.c \
	helper/cmd-status.c \
	helper/cmd-sync.c \
	helper/cmd-update.c
helper_rcu_repo_CFLAGS = $(AM_CFLAGS) $(SMARTCOLS_CFLAGS)
helper_rcu_repo_LDADD = $(HELPER_LIBS) $(SMARTCOLS_LIBS)
