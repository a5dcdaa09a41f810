// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launcher under the sanitizers (tests/e2e/test_sanitized.py): its allocations are the C
 * library's, so that AddressSanitizer knows their bounds, and faults stay the launcher's business.
 */
#include <stdlib.h>

void *__wrap_wj_alloc(size_t size);
void __wrap_wj_free(void *p);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

void *__wrap_wj_alloc(size_t size)
{
	return calloc(1, size);
}

void __wrap_wj_free(void *p)
{
	free(p);
}

const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:"
	       "handle_abort=0:use_sigaltstack=0:abort_on_error=1";
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:abort_on_error=1";
}
