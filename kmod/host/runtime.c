// SPDX-License-Identifier: GPL-2.0-only
/* Emscripten's run time: what its JavaScript does for every program. */
#include "host.h"

s64 wj_string_list_sizes(struct wj_process *p, const struct wj_strings *list, const u64 *a)
{
	if (wj_put_u32(p, a[0], list->count) || wj_put_u32(p, a[1], list->size))
		return -EFAULT;
	return 0;
}

s64 wj_string_list(struct wj_process *p, const struct wj_strings *list, const u64 *a)
{
	const char *from = list->bytes;

	if (wj_put(p, a[1], list->bytes, list->size))
		return -EFAULT;
	for (u32 i = 0; i < list->count; i++) {
		if (wj_put_u32(p, a[0] + 4 * i, a[1] + (from - list->bytes)))
			return -EFAULT;
		from += strlen(from) + 1;
	}
	return 0;
}

s64 wj_host_wasi_args_sizes_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list_sizes(p, &p->argv, a);
}

s64 wj_host_wasi_args_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list(p, &p->argv, a);
}

s64 wj_host_wasi_environ_sizes_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list_sizes(p, &p->envp, a);
}

s64 wj_host_wasi_environ_get(struct wj_process *p, const u64 *a)
{
	return wj_string_list(p, &p->envp, a);
}

s64 wj_host_emscripten_get_progname(struct wj_process *p, const u64 *a)
{
	u32 size = a[1], length = strlen(p->argv.bytes);

	if (!size)
		return 0;
	length = min(length, size - 1);
	if (wj_put(p, a[0], p->argv.bytes, length) || wj_zero_user(wj_user(p, a[0] + length), 1))
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	return 0;
}

s64 wj_host_get_temp_ret0(struct wj_process *p, const u64 *a)
{
	(void)a;
	return p->host->temp_ret0;
}

s64 wj_host_set_temp_ret0(struct wj_process *p, const u64 *a)
{
	p->host->temp_ret0 = a[0];
	return 0;
}

s64 wj_host_abort(struct wj_process *p, const u64 *a)
{
	(void)a;
	if (!p->unwind)
		p->unwind = WJ_TRAP_ABORT;
	return 0;
}

s64 wj_host_assert_fail(struct wj_process *p, const u64 *a)
{
	char condition[200], file[200], function[100];

	if (wj_get_string(p, condition, sizeof(condition), a[0]) < 0)
		condition[0] = 0;
	if (wj_get_string(p, file, sizeof(file), a[1]) < 0)
		file[0] = 0;
	if (!a[3] || wj_get_string(p, function, sizeof(function), a[3]) < 0)
		function[0] = 0;
	wj_log("Assertion failed: %s (%s: %s: %d)", condition, file, function, (int)a[2]);
	return wj_host_abort(p, a);
}

s64 wj_host_emscripten_throw_longjmp(struct wj_process *p, const u64 *a)
{
	(void)a;
	if (!p->unwind)
		p->unwind = WJ_TRAP_LONGJMP;
	return 0;
}

/* What is longer is cut: a guest may fill its memory with no NUL to be found. */
#define CONSOLE_LINE 65536u

static s64 print_line(struct wj_process *p, int fd, u32 address)
{
	u64 newline = wj_scratch_alloc(p, 1);
	u32 length = 0;
	u8 byte;

	for (; length < CONSOLE_LINE; length++) {
		if (wj_get(p, &byte, address + length, 1))
			return 0;
		if (!byte)
			break;
	}
	wj_sys(p, __NR_write, fd, wj_user(p, address), length, 0, 0, 0);
	if (newline && !wj_fill_user(newline, '\n', 1))
		wj_sys(p, __NR_write, fd, newline, 1, 0, 0, 0);
	return 0;
}

s64 wj_host_emscripten_out(struct wj_process *p, const u64 *a)
{
	return print_line(p, 1, a[0]);
}

s64 wj_host_emscripten_err(struct wj_process *p, const u64 *a)
{
	return print_line(p, 2, a[0]);
}

/* No dynamic linking: dlopen and dlsym find nothing. */
s64 wj_host_dlopen_js(struct wj_process *p, const u64 *a)
{
	(void)p;
	(void)a;
	return 0;
}

s64 wj_host_dlsym_js(struct wj_process *p, const u64 *a)
{
	(void)p;
	(void)a;
	return 0;
}

s64 wj_host_dlsym_js64(struct wj_process *p, const u64 *a)
{
	return wj_host_dlsym_js(p, a);
}

s64 wj_host_getentropy(struct wj_process *p, const u64 *a)
{
	s64 ret = (u32)a[1] > 256 ? -EIO : wj_sys(p, __NR_getrandom, wj_user(p, a[0]), (u32)a[1], 0, 0, 0, 0);

	if (ret >= 0)
		return 0;
	wj_set_errno(p, -ret);
	return -1;
}

/* A plain module has no fork to build it from; with the overlay it is the guest's own. */
s64 wj_host_system(struct wj_process *p, const u64 *a)
{
	if (!a[0])
		return 0;	/* no shell */
	wj_set_errno(p, ENOSYS);
	return -1;
}
