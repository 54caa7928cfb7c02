# SPDX-License-Identifier: LGPL-2.1-or-later
# helpers.bash: what the tests of commands share beside tests/lib.bash.

# rsync_with SCRIPT: from now on `rsync` is this bash script; in it, real_rsync is the real one, and $staging the
# directory that it copies to.  For what happens to a transport half-way.
rsync_with() {
	mkdir -p "$T/bin"
	REAL_RSYNC=$(PATH=${PATH#"$T/bin:"} command -v rsync)
	{
		printf '#!/bin/bash\nreal_rsync() { %q "$@"; }\nstaging=${!#}\n' "$REAL_RSYNC"
		echo "$1"
	} >"$T/bin/rsync"
	chmod 755 "$T/bin/rsync"
	PATH=$T/bin:${PATH#"$T/bin:"}
}

real_rsync_again() { PATH=${PATH#"$T/bin:"}; }

# config [TEXT]: writes $T/repos.conf, and uses it
config() {
	cat >"$T/repos.conf"
	export RCU_REPO_CONFIG=$T/repos.conf
}

# Two repositories, one and two, from $T/source-one and $T/source-two.
two_repositories() {
	make_version "$T/source-one" A
	make_version "$T/source-two" A
	config <<-END
		[DEFAULT]
		sync-type = rsync
		sync-rcu-ttl-days = 0
		[one]
		location = $T/one
		sync-rcu-store-dir = $T/store-one
		sync-uri = $T/source-one
		[two]
		location = $T/two
		sync-rcu-store-dir = $T/store-two
		sync-uri = $T/source-two
	END
}

# What a store looks like from outside, to see that nothing was changed: names, inodes, link targets.
picture() { find "$@" -printf '%p %i %l %m %s\n' | LC_ALL=C sort; }

# Is there nothing in DIR?
is_empty() { [ -z "$(ls -A "$1")" ]; }

# reader LOCATION [OPTION...]: one pinned process; its pid is in $BACKGROUND when it is pinned
reader() {
	local dir=$1
	shift
	rm -f "$T/pinned"
	background "$RCU_EXEC" -l "$dir" "$@" -- bash -c 'touch "$1"; exec sleep 1000' bash "$T/pinned"
	wait_until test -e "$T/pinned"
}

# strace; a program built with sanitizers cannot look for leaks under it
traced() { ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS-} strace "$@"; }

# serve DIR [PYTHON]: the files of DIR by http, on 127.0.0.1:$PORT, until the test ends; PYTHON are lines for the handler's class, indented by
# four blanks, that answer otherwise
serve() {
	cat >"$T/server.py" <<-END
		import http.server, os, sys, time
		class Handler(http.server.SimpleHTTPRequestHandler):
		    def log_message(self, *words):
		        pass
		${2-}
		os.chdir(sys.argv[2])
		server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
		with open(sys.argv[1] + ".new", "w") as f:
		    f.write(str(server.server_port))
		os.rename(sys.argv[1] + ".new", sys.argv[1])
		server.serve_forever()
	END
	background /usr/bin/python3 "$T/server.py" "$T/port" "$1"
	wait_until test -s "$T/port"
	PORT=$(cat "$T/port")
	export PORT
}
