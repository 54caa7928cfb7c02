# SPDX-License-Identifier: LGPL-2.1-or-later
# Calls that change what a path means: mounts, roots, namespaces. Each is made pinned, in a mount namespace of its own.

load ../lib
load pinned

setup() {
	lib_init
	skip_unless_mount
	make_version() { mkdir -p "$1/dir"; echo "$2" >"$1/file"; echo "$2" >"$1/dir/file"; }
	make_store
	mkdir -p "$T/bound" "$T/way/place" "$T/other" "$T/root/old" "$T/root/tmp"
	echo plain >"$T/way/place/file"
	ln -s "$LOCATION" "$T/other/place"
	cat >"$T/places.py" <<-'END'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		T, LOCATION, STORE, SNAPSHOT = (os.fsencode(a) for a in sys.argv[1:5])
		HERE, BIND, MOVE, DETACH = -100, 4096, 8192, 2
		NEWNS = 0x20000
		def done(result):
		    if result < 0:
		        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
		    return result
		def says(path):
		    return open(path).read().strip()
		if libc.unshare(NEWNS) != 0 or libc.mount(b"none", b"/", None, 0x44000, None) != 0:
		    sys.exit("no namespace")
	END
}
teardown() { lib_done; }

# places: the lines on stdin, after those above
places() {
	cat >>"$T/places.py"
	pinned /usr/bin/python3 "$T/places.py" "$T" "$LOCATION" "$STORE" "$PINNED" 2>&1
}

@test "what is bound elsewhere is the pinned snapshot" {
	places <<-'END'
		done(libc.mount(LOCATION, T + b"/bound", None, BIND, None))
		assert says(T + b"/bound/file") == "one"
		done(libc.umount(T + b"/bound"))
		assert os.listdir(T + b"/bound") == []
		tree = done(libc.open_tree(HERE, LOCATION + b"/dir", 1))
		done(libc.move_mount(tree, b"", HERE, T + b"/bound", 4))
		assert says(T + b"/bound/file") == "one"
		done(libc.umount2(T + b"/bound", DETACH))
	END
}

@test "what is mounted upon and asked about is the pinned snapshot" {
	places <<-'END'
		done(libc.mount(LOCATION, LOCATION, None, BIND, None))
		assert os.path.ismount(SNAPSHOT) or SNAPSHOT in open("/proc/self/mountinfo", "rb").read()
		context = done(libc.fspick(HERE, LOCATION, 1))
		class Attributes(ctypes.Structure):
		    _fields_ = [(n, ctypes.c_uint64) for n in ("set", "clear", "propagation", "userns")]
		done(libc.mount_setattr(HERE, LOCATION, 0, ctypes.byref(Attributes(set=1)), 32))
		done(libc.umount2(LOCATION, DETACH))
		context = done(libc.fsopen(b"tmpfs", 1))
		done(libc.fsconfig(context, 1, b"source", b"none", 0))
		done(libc.fsconfig(context, 6, None, None, 0))
	END
}

@test "the layers of an overlay are the pinned snapshot's" {
	mkdir "$T/plain" "$T/com,ma" "$T/upper" "$T/work"
	ln -s "$LOCATION" "$T/com,ma/pl:ace"
	places <<-'END'
		def over(options):
		    if libc.mount(b"none", T + b"/bound", b"overlay", 0, options) != 0: sys.exit(0) # none to be had
		    assert says(T + b"/bound/file") == "one"
		    done(libc.umount(T + b"/bound"))
		os.chdir(T)
		over(b"lowerdir=" + T + b"/plain:" + LOCATION)
		over(b"redirect_dir=off,lowerdir=" + LOCATION + b"/dir:plain:" + STORE + b"/latest")
		over(b"lowerdir=plain:" + T + b"/com\\,ma/pl\\:ace")
		done(libc.mount(b"none", T + b"/bound", b"overlay", 0, b"lowerdir=" + LOCATION + b",upperdir=" + T + b"/upper,workdir=" + T + b"/work"))
		assert says(T + b"/bound/file") == "one"
		done(libc.umount(T + b"/bound"))
		context = done(libc.fsopen(b"overlay", 1))
		done(libc.fsconfig(context, 1, b"lowerdir", T + b"/plain:" + LOCATION, 0))
		done(libc.fsconfig(context, 6, None, None, 0))
		tree = done(libc.fsmount(context, 1, 0))
		done(libc.move_mount(tree, b"", HERE, T + b"/bound", 4))
		assert says(T + b"/bound/file") == "one"
	END
}

@test "what was remembered of a directory is forgotten when something is mounted there" {
	places <<-'END'
		for i in range(3):
		    assert says(T + b"/way/place/file") == "plain"
		    done(libc.mount(T + b"/other", T + b"/way", None, BIND, None))
		    assert says(T + b"/way/place/file") == "one"
		    done(libc.umount2(T + b"/way", DETACH))
	END
}

@test "what was remembered is forgotten in another namespace" {
	places <<-'END'
		outside = os.open("/proc/self/ns/mnt", os.O_RDONLY)
		done(libc.unshare(NEWNS))
		done(libc.mount(T + b"/bound", T + b"/other", None, BIND, None))
		os.mkdir(T + b"/bound/place")
		open(T + b"/bound/place/file", "w").write("within")
		assert says(T + b"/other/place/file") == "within"
		done(libc.setns(outside, NEWNS))
		assert says(T + b"/other/place/file") == "one"
	END
}

@test "what was remembered is forgotten with another root" {
	places <<-'END'
		assert says(LOCATION + b"/file") == "one"
		done(libc.mount(T + b"/root", T + b"/root", None, BIND, None))
		os.makedirs(T + b"/root" + T + b"/way/place")
		open(T + b"/root" + T + b"/way/place/file", "w").write("within")
		assert says(T + b"/way/place/file") == "plain"
		done(libc.pivot_root(T + b"/root", T + b"/root/old"))
		os.chdir("/")
		assert says(T + b"/way/place/file") == "within"
		assert says(b"/old" + STORE + b"/latest/file") == "one"
		assert says(b"/old" + T + b"/way/place/file") == "plain"
	END
}
