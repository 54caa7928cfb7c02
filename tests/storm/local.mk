# SPDX-License-Identifier: LGPL-2.1-or-later
# The storm: real programs read a repository that is swapped under them.  `make storm RUNS=200` is the whole of it;
# `make check` has a few runs.
STORM_READERS = \
	tests/storm/readers/apt-get \
	tests/storm/readers/bash \
	tests/storm/readers/dnf \
	tests/storm/readers/find \
	tests/storm/readers/git-clone \
	tests/storm/readers/git-log \
	tests/storm/readers/pacman \
	tests/storm/readers/pip \
	tests/storm/readers/python \
	tests/storm/readers/rsync \
	tests/storm/readers/tar
EXTRA_DIST += \
	tests/storm/check \
	tests/storm/demo \
	tests/storm/reader.sh \
	tests/storm/run.sh \
	tests/storm/storm \
	tests/storm/thousand \
	tests/storm/trees.sh \
	$(STORM_READERS)

check_PROGRAMS += tests/storm/pinners tests/storm/publisher
tests_storm_pinners_SOURCES = tests/storm/pinners.c
tests_storm_pinners_LDADD = $(HELPER_LIBS)
tests_storm_publisher_SOURCES = tests/storm/publisher.c
tests_storm_publisher_LDADD = $(HELPER_LIBS)
TESTS += tests/storm/check tests/storm/thousand

RUNS = 200
.PHONY: storm demo
storm: all tests/storm/publisher tests/storm/pinners
	@$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/storm/storm --runs $(RUNS)
	@$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/storm/thousand 20
demo: all tests/storm/publisher
	@$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/tests/storm/demo
