/* SPDX-License-Identifier: GPL-2.0-only */
/* State of the hosted test platform that the driver steers. */
#ifndef WJ_NATIVE_H
#define WJ_NATIVE_H

#include "core.h"

struct native {
	long allocations;	/* live ones, linear memories included */
	long fail_allocation;	/* the n-th from now on fails, once; -1: none */
	u64 polls;		/* so far */
	u64 polls_to_trap;	/* the n-th from now on traps; 0: none does */
	u32 mitigations;
	bool canaries;		/* WJ_CANARIES is set: what native_check_canaries() looks at is there */
};
extern struct native native;

void native_init(void);
/* Dies if anything was written where nothing may write. */
void native_check_canaries(void);
/* Garbage in every register that the calling convention lets a function change. */
void native_clobber(void);

/* The driver, for jit.c: the next word of the command as a number, an image or NULL. */
u64 driver_number(void);
struct wj_image *driver_image(u64 id);
/* Host function "fork" of guests in the JIT: 1 in the parent, 0 in the child, see jit.c. */
int host_fork(struct wj_instance *inst, void *data, u64 *args);
void do_sweep(void);	/* sweep.c */
/* Commands of the JIT, where there is one: false if it is none of them. */
bool jit_command(const char *word);

#endif
