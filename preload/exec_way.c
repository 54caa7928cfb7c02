/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/loads.h"
#include "core/sys.h"
#include "preload/exec_env.h"
#include "preload/launch.h"
#include "preload/map.h"

/* Every pin is handed on, and was held to begin with. */
static bool is_whole(const struct exec_pins *pins)
{
	for (unsigned i = 0; i < pins->count; i++)
		if (pins->fds[i] < 0)
			return false;
	return true;
}

/*
 * Can rcu-exec be told this program, as it is asked for, by a path? Not by a descriptor: that may be closed by its
 * exec. What cannot be executed shall fail in the caller.
 */
static bool is_launchable(int dir, const char *path)
{
	const char *launcher = launcher_path();

	return launcher && (dir == AT_FDCWD || path[0] == '/') && sys_faccessat(dir, path, X_OK) == 0 &&
	       sys_faccessat(AT_FDCWD, launcher, X_OK) == 0;
}

enum exec_way exec_way(const struct exec_env *e, int dir, const char *path, int flags, bool *script)
{
	/* Behind a filter the program is not looked at, unless it would be refused otherwise. */
	const bool blind = map_is_confined() && !shim.strict;

	if (script)
		*script = !blind;
	if (blind)
		return EXEC_DIRECT;
	if (!shim_active() || !path || (!shim.strict && !launcher_path()))
		return EXEC_DIRECT;
	if (shim.strict && !is_whole(&e->pins))
		return EXEC_REFUSED;
	enum loads loads = loads_preload(dir, path, flags, script);
	if (loads == LOADS_OTHER_SIZE)
		loads = shim.self && strchr(shim.self, '$') ? LOADS : LOADS_NOT;
	if (loads == LOADS && (e->loads || !shim.strict))
		return EXEC_DIRECT;
	if (loads == LOADS_NOT && is_launchable(dir, path))
		return EXEC_LAUNCHED;
	return shim.strict ? EXEC_REFUSED : EXEC_DIRECT;
}

bool exec_shell_pinnable(const struct exec_pins *pins)
{
	if (!shim_active() || !shim.strict)
		return true;
	for (unsigned i = 0; i < pins->count; i++)
		if (pins->far[i])
			return false;
	return is_whole(pins);
}
