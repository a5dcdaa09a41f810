/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emscripten's sigsetjmp forgets the signal mask; there is room for it.  Its longjmp(buf, 0) is
 * lost: the code that the compiler makes takes 0 for "no jump".
 */
#ifndef WJ_SETJMP_H
#define WJ_SETJMP_H

#include_next <setjmp.h>

static __inline int __wj_jump_value(int value)
{
	return value ? value : 1;
}

#define longjmp(buf, val) longjmp((buf), __wj_jump_value(val))

#ifdef sigsetjmp
#ifdef __cplusplus
extern "C" {
#endif

/* Three words: whether the mask was saved, and its 64 signals. */
void __wj_save_mask(unsigned long *, int);
void __wj_restore_mask(const unsigned long *);

#ifdef __cplusplus
}
#endif

#undef sigsetjmp
#undef siglongjmp
#define sigsetjmp(buf, save) (__wj_save_mask((buf)->__ss, (save)), setjmp((buf)))
#define siglongjmp(buf, val) (__wj_restore_mask((buf)->__ss), longjmp((buf), (val)))
#endif

#endif
