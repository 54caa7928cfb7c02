#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
portage-steps.py SOURCE LOCATION STORE [SPARES]: what an unmodified Portage does to a store when it syncs, step by step:
clone the latest snapshot into update/ by hard links, rsync into that with Portage's own options, give it the next number,
exchange the links, and delete the oldest in place.  It knows neither our lock nor our pins.  Where $PAUSE is set, it
touches $PAUSE.here and waits for $PAUSE.go when it is half-way.
"""

import os
import subprocess
import sys
import time

source, location, store = sys.argv[1:4]
spares = int(sys.argv[4]) if len(sys.argv) > 4 else 1
update = os.path.join(store, "update")
snapshots = os.path.join(store, "snapshots")
latest = os.path.join(store, "latest")


def run(*args):
    subprocess.run(args, check=True)


def numbers():
    # a name that is no number is the end of it, as in Portage
    return sorted(int(name) for name in os.listdir(snapshots)) if os.path.isdir(snapshots) else []


def exchange(link, target):
    if os.path.lexists(link + ".new"):
        os.unlink(link + ".new")
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)


def commit():
    number = (numbers() or [0])[-1] + 1
    os.makedirs(snapshots, exist_ok=True)
    os.rename(update, os.path.join(snapshots, str(number)))
    exchange(latest, f"snapshots/{number}")
    if not (os.path.exists(location) and os.path.samefile(location, latest)):
        exchange(location, latest)


os.umask(0o022)
run("rm", "-rf", update)
os.makedirs(store, exist_ok=True)
if not os.path.exists(latest):
    os.makedirs(location, exist_ok=True)
    os.rename(location, update)
    commit()
base = os.path.realpath(latest)
os.mkdir(update)
run("rsync", "-a", "--link-dest", base, base + "/", update + "/")
if "PAUSE" in os.environ:
    open(os.environ["PAUSE"] + ".here", "w").close()
    while not os.path.exists(os.environ["PAUSE"] + ".go"):
        time.sleep(0.02)
run(
    "rsync", "--recursive", "--links", "--safe-links", "--perms", "--times", "--omit-dir-times", "--force", "--whole-file",
    "--delete", "--exclude=/distfiles", "--exclude=/local", "--exclude=/packages", source + "/", update + "/",
)
commit()
for number in numbers()[: -(spares + 1)]:
    run("rm", "-rf", os.path.join(snapshots, str(number)))
