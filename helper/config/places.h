/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * places.h: which files are the configuration.
 *
 * Ours (--config, $RCU_REPO_CONFIG, /etc/rcu-repo/repos.conf) are each a file or a directory of *.conf, in the order
 * of their names. Portage's are read as Portage reads them (lib/portage/util, _recursive_file_list(), and
 * lib/portage/repository/config.py of Portage 3.0):
 *
 *     - a directory is read with all below it, directories among the files in the order of their names. Any name will
 *       do but one that begins with a dot or ends with ~, and a directory that is a version control's (CVS, RCS, SCCS).
 *     - links are followed; what is neither file nor directory is passed over.
 *     - a file that we may not read is passed over, here with a warning.
 *     - $PORTAGE_REPOSITORIES, where it is set, is the text that stands in the place of all files.
 *     - $PORTAGE_RSYNC_EXTRA_OPTS is the sync-rsync-extra-opts of [DEFAULT] as long as no file says another.
 *     - EPREFIX, EROOT, PORTAGE_CONFIGROOT and ROOT are keys of [DEFAULT]; the last three end with a slash.
 *
 * Portage takes its variables from make.conf and the profile as well; here it is the environment alone.
 */
#ifndef HELPER_CONFIG_PLACES_H
#define HELPER_CONFIG_PLACES_H

#include <stdbool.h>

#include "helper/base/err.h"
#include "helper/base/words.h"
#include "helper/config/conf.h"

/*
 * Reads what there is into `conf`: `path` if not NULL (--config), else the first of the others that is there.
 * *from_portage says whether these are Portage's own; *source (the caller frees it, also after a failure) is what to
 * call the place in messages; *warnings gets a line for each file that was passed over.
 */
int places_read(struct conf *conf, const char *path, bool *from_portage, char **source,
		struct words *warnings, struct err *err);

/* "/etc/portage/NAME", below PORTAGE_CONFIGROOT or EPREFIX. The caller frees it. */
char *place_of_portage(const char *name);

#endif
