# SPDX-License-Identifier: LGPL-2.1-or-later
# The two programs and the library that they and the unit tests share.
noinst_LIBRARIES += helper/libhelper.a
helper_libhelper_a_SOURCES = \
	helper/base/alloc.c helper/base/alloc.h \
	helper/base/aside.c helper/base/aside.h \
	helper/base/err.c helper/base/err.h \
	helper/base/files.c helper/base/files.h \
	helper/base/identity.c helper/base/identity.h \
	helper/base/mounts.c helper/base/mounts.h \
	helper/base/options.c helper/base/options.h \
	helper/base/text.c helper/base/text.h \
	helper/base/walk.c helper/base/walk.h \
	helper/base/words.c helper/base/words.h \
	helper/config/conf.c helper/config/conf.h \
	helper/config/keys.c helper/config/keys.h \
	helper/config/order.c helper/config/order.h \
	helper/config/places.c helper/config/places.h \
	helper/config/repos.c helper/config/repos.h \
	helper/config/user.c helper/config/user.h \
	helper/tree/changes.c helper/tree/changes.h \
	helper/tree/climb.c helper/tree/climb.h \
	helper/tree/clone.c \
	helper/tree/copy.c helper/tree/copy.h \
	helper/tree/crew.c helper/tree/crew.h \
	helper/tree/delete.c \
	helper/tree/diff.c \
	helper/tree/forward.c \
	helper/tree/measure.c \
	helper/tree/object.c helper/tree/object.h \
	helper/tree/reach.c helper/tree/reach.h \
	helper/tree/same.c \
	helper/tree/share.c \
	helper/tree/swarm.c helper/tree/swarm.h \
	helper/tree/tree.h \
	helper/snapshot/hardlink.c \
	helper/snapshot/seal.c helper/snapshot/seal.h \
	helper/snapshot/storage.c helper/snapshot/storage.h \
	helper/store/check.c helper/store/check.h \
	helper/store/digest.c helper/store/digest.h \
	helper/store/held.c helper/store/held.h \
	helper/store/high_water.c \
	helper/store/lock.c helper/store/lock.h \
	helper/store/meta.c helper/store/meta.h \
	helper/store/migrate.c helper/store/migrate.h \
	helper/store/occupants.c helper/store/occupants.h \
	helper/store/pin.c helper/store/pin.h \
	helper/store/publish.c helper/store/publish.h \
	helper/store/readers.c helper/store/readers.h \
	helper/store/reclaim.c helper/store/reclaim.h \
	helper/store/record.c helper/store/record.h \
	helper/store/reservation.c helper/store/reservation.h \
	helper/store/set.c helper/store/set.h \
	helper/store/space.c helper/store/space.h \
	helper/store/store.c helper/store/store.h \
	helper/store/sweep.c helper/store/sweep.h \
	helper/store/trust.c helper/store/trust.h \
	helper/store/verify.c helper/store/verify.h \
	helper/launcher/keeper.c helper/launcher/keeper.h \
	helper/launcher/loadable.c helper/launcher/loadable.h \
	helper/launcher/within.c helper/launcher/within.h \
	helper/launcher/namespace.c helper/launcher/namespace.h \
	helper/launcher/namespace_cover.c helper/launcher/namespace_cover.h \
	helper/launcher/pinning.c helper/launcher/pinning.h \
	helper/programs/guard.c helper/programs/guard.h \
	helper/programs/guard_apply.c helper/programs/guard_apply.h \
	helper/programs/guard_kernel.c helper/programs/guard_kernel.h \
	helper/programs/hooks.c helper/programs/hooks.h \
	helper/programs/run.c helper/programs/run.h \
	helper/transport/apart.c helper/transport/apart.h \
	helper/transport/archive.c \
	helper/transport/below.c helper/transport/below.h \
	helper/transport/command.c \
	helper/transport/git.c \
	helper/transport/git_run.c helper/transport/git_run.h \
	helper/transport/local.c \
	helper/transport/manifest.c helper/transport/manifest.h \
	helper/transport/rsync.c \
	helper/transport/source.c helper/transport/source.h \
	helper/transport/transport.c helper/transport/transport.h \
	helper/transport/unpack.c helper/transport/unpack.h \
	helper/transport/unpack_names.c helper/transport/unpack_names.h \
	helper/transport/unpack_squashfs.c \
	helper/transport/unpack_stream.c helper/transport/unpack_stream.h \
	helper/transport/unpack_tar.c \
	helper/commands/deletions.c helper/commands/deletions.h \
	helper/commands/jobs.c helper/commands/jobs.h
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
	helper/rcu-repo.c helper/commands/command.c helper/commands/command.h \
	helper/commands/look.c helper/commands/look.h \
	helper/commands/progress.c helper/commands/progress.h \
	helper/commands/session.c helper/commands/session.h \
	helper/commands/table.c helper/commands/table.h \
	helper/commands/together.c helper/commands/together.h \
	helper/commands/cmd-abort.c \
	helper/commands/cmd-begin.c \
	helper/commands/cmd-check.c \
	helper/commands/cmd-commit.c \
	helper/commands/cmd-diff.c \
	helper/commands/cmd-gc.c \
	helper/commands/cmd-keep.c \
	helper/commands/cmd-list.c \
	helper/commands/cmd-readers.c \
	helper/commands/cmd-release.c \
	helper/commands/cmd-rollback.c \
	helper/commands/cmd-status.c \
	helper/commands/cmd-sync.c \
	helper/commands/cmd-update.c
helper_rcu_repo_CFLAGS = $(AM_CFLAGS) $(SMARTCOLS_CFLAGS)
helper_rcu_repo_LDADD = $(HELPER_LIBS) $(SMARTCOLS_LIBS)
