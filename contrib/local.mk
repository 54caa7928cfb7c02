# SPDX-License-Identifier: LGPL-2.1-or-later
# What goes along with the programs: nothing here is built or installed.
EXTRA_DIST += contrib/portage/README.md contrib/portage/emerge-rcu contrib/portage/rcu_repo_portage.pth \
	contrib/portage/rcu_repo_portage/__init__.py contrib/portage/rcu_repo_portage/storage.py \
	contrib/recipes/apt-debmirror contrib/recipes/apt-reprepro contrib/recipes/dnf-createrepo contrib/recipes/mirror \
	contrib/recipes/pacman-repo-add
