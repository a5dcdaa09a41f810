// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmod/user/script.c on a C library: core/ with its interpreter and nothing else of ours, for
 * machines and libraries that the launcher does not know.  tests/spec runs the official suite
 * with it, on processors that are not this one too.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core.h"
#include "native.h"

/* What script.c takes of the launcher, instead of user.h. */
#define WJ_USER_H
struct wj_process {
	struct wj_instance *inst;
};

static const struct { const char *engine; } launch = { "interp" };

static int wj_process_init(struct wj_process *p)
{
	p->inst = NULL;
	return 0;
}

static long syscall3(long nr, long a, long b, long c)
{
	return syscall(nr, a, b, c);
}

int run_script(void);
#include "../../kmod/user/script.c"

int main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--engine=interp") || strcmp(argv[2], "--script")) {
		fprintf(stderr, "usage: script_host --engine=interp --script\n");
		return 2;
	}
	native_init();
	return run_script();
}
