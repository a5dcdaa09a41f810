// SPDX-License-Identifier: GPL-2.0-only
/*
 * exit().  Emscripten's is JavaScript that calls back into the guest; this one
 * leaves only the end of the process to the host.
 */

#include <stdlib.h>
#include <unistd.h>

#include "wjposix.h"

extern void __funcs_on_exit(void);
extern void __stdio_exit(void);

_Noreturn void exit(int status)
{
	__funcs_on_exit();
	__stdio_exit();
	_exit(status);
}
