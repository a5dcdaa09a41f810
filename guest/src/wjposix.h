/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the overlay. */
#ifndef WJ_WJPOSIX_H
#define WJ_WJPOSIX_H

#include <errno.h>
#include <stddef.h>

#include "imports.h"

/* The bytes of a signal set that Linux looks at: 64 signals. */
#define WJ_SIGSET_BYTES 8

/* A pointer as an import takes it. */
#define P(pointer) ((int)(pointer))

/* -errno, as system calls return it, to -1 and errno. */
static inline int wj_result(int ret)
{
	if ((unsigned int)ret > -4096u) {
		errno = -ret;
		return -1;
	}
	return ret;
}

#endif
