// SPDX-License-Identifier: GPL-2.0-only
/*
 * --dump-code, for `pywasmjit objdump`: write the JIT's code of an image to descriptor 1, run nothing.
 *
 * struct dump_header; u32 per function, imports first: where it starts in the code; the code.
 * What serves all functions (stubs before the first one, jump tables after the last) is left out.
 */
#include "user.h"
#include "internal.h"

struct dump_header {
	u8 magic[8];
	u64 base;		/* address of the code's first byte */
	u32 functions, size;
};

static bool write_all(const void *from, size_t size)
{
	while (size) {
		long n = syscall3(__NR_write, 1, (long)from, size);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return false;
		from = (const u8 *)from + n;
		size -= n;
	}
	return true;
}

/* Where the last function ends; what follows belongs to none. */
static const u8 *functions_end(const struct wj_code *code, const u8 *last, const u8 *limit)
{
	struct wj_frame frame;

	while (limit > last && !wj_code_lookup(code, (u64)limit, &frame))
		limit--;
	return limit;
}

int dump_code(struct wj_image *image)
{
	struct dump_header header = { .magic = "wjcode\0\1", .functions = image->n_functions };
	struct wj_error error = { 0 };
	const u8 *first = NULL, *last;
	struct wj_code *code;
	u32 *starts;
	int ret = wj_jit_compile(image, &error, &code);

	if (ret) {
		wj_log("pywasmjit: no machine code: %s", error.message ? error.message : "no reason given");
		return ret == -ENOMEM ? EXIT_OSERR : EXIT_UNAVAILABLE;
	}
	starts = wj_alloc((image->n_functions + 1) * sizeof(*starts));
	if (!starts) {
		wj_log("pywasmjit: out of memory");
		return EXIT_OSERR;
	}
	if (image->n_functions) {
		first = wj_code_entry(code, 0);
		last = wj_code_entry(code, image->n_functions - 1);
		header.base = (u64)first;
		/* The code lies before `first` in part: its size counted from there reaches beyond its end. */
		header.size = functions_end(code, last, first + wj_code_size(code)) - first;
	}
	for (u32 i = 0; i < image->n_functions; i++)
		starts[i] = (const u8 *)wj_code_entry(code, i) - first;
	if (write_all(&header, sizeof(header)) && write_all(starts, image->n_functions * sizeof(*starts)) &&
	    write_all(first, header.size))
		return 0;
	wj_log("pywasmjit: the code cannot be written");
	return EXIT_OSERR;
}
