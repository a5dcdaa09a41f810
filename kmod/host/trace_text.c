// SPDX-License-Identifier: GPL-2.0-only
/* --trace: numbers, names, strings and arrays as strace writes them. */
#include "trace_text.h"
#include "abi_wasi.h"
#include "wj_text.h"

#define STRING_MAX 32	/* bytes of data shown, as strace -s */
#define PATH_MAX_SHOWN 200

struct name {
	u32 value;
	const char *text;
};

#define N(constant) { (u32)WJ_EM_##constant, #constant },
#define W(constant) { WJ_WASI_##constant, #constant },
#define M(value, constant) { value, #constant },
#define FLAGS(kind, names) static const struct name names_##kind[] = { names { 0, NULL } };
#define VALUES(kind, names) static const struct name names_##kind[] = { names { 0, NULL } };
#include "trace_names.def"
#undef FLAGS
#undef VALUES

static const struct names {
	const struct name *names;
	bool flags;
} kinds[] = {
#define FLAGS(kind, names) [kind - T_NAMED] = { names_##kind, true },
#define VALUES(kind, names) [kind - T_NAMED] = { names_##kind, false },
#include "trace_names.def"
#undef FLAGS
#undef VALUES
};

void wj_text_put(struct wj_text *t, const char *s)
{
	while (*s && t->used < sizeof(t->bytes) - 1)
		t->bytes[t->used++] = *s++;
	t->bytes[t->used] = 0;
}

static void in_base(struct wj_text *t, u64 value, unsigned int base)
{
	char digits[65], *end = digits + sizeof(digits) - 1;

	*end = 0;
	wj_text_put(t, wj_digits(end, value, base));
}

void wj_text_unsigned(struct wj_text *t, u64 value)
{
	in_base(t, value, 10);
}

void wj_text_signed(struct wj_text *t, s64 value)
{
	if (value < 0)
		wj_text_put(t, "-");
	wj_text_unsigned(t, value < 0 ? -(u64)value : (u64)value);
}

void wj_text_hex(struct wj_text *t, u64 value)
{
	wj_text_put(t, value ? "0x" : "");
	in_base(t, value, 16);
}

void wj_text_octal(struct wj_text *t, u32 value)
{
	wj_text_put(t, value ? "0" : "");
	in_base(t, value, 8);
}

void wj_text_address(struct wj_text *t, u32 address)
{
	if (address)
		wj_text_hex(t, address);
	else
		wj_text_put(t, "NULL");
}

/* `label` and a number: of structures' fields. */
void wj_text_field(struct wj_text *t, const char *label, s64 value)
{
	wj_text_put(t, label);
	wj_text_signed(t, value);
}

static const char *name_of(const struct name *names, u32 value)
{
	for (; names->text; names++) {
		if (names->value == value)
			return names->text;
	}
	return NULL;
}

static void put_value(struct wj_text *t, const struct name *names, u32 value)
{
	const char *name = name_of(names, value);

	if (name)
		wj_text_put(t, name);
	else
		wj_text_signed(t, (s32)value);
}

/* The flags, or nothing for none, each but the first after a bar; `some`: one is there already. */
static void put_flags(struct wj_text *t, const struct name *names, u32 value, bool some)
{
	for (; names->text; names++) {
		if (!names->value || (value & names->value) != names->value)
			continue;
		wj_text_put(t, some ? "|" : "");
		wj_text_put(t, names->text);
		value &= ~names->value;
		some = true;
	}
	if (value) {
		wj_text_put(t, some ? "|" : "");
		wj_text_hex(t, value);
	}
}

void wj_text_named(struct wj_text *t, enum wj_trace_kind kind, u32 value)
{
	const struct names *names = &kinds[kind - T_NAMED];

	if (!names->flags)
		put_value(t, names->names, value);
	else if (value)
		put_flags(t, names->names, value, false);
	else
		wj_text_put(t, "0");
}

void wj_text_more_flags(struct wj_text *t, enum wj_trace_kind kind, u32 value)
{
	put_flags(t, kinds[kind - T_NAMED].names, value, true);
}

const char *wj_signal_name(s32 sig)
{
	return name_of(names_T_SIGNAL_NAME, (u32)sig);
}

/* One byte of a string; `next` tells how an octal escape may be written. */
void wj_text_byte(struct wj_text *t, u8 byte, u8 next)
{
	static const char letters[] = { ['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r', ['\v'] = 'v',
					['\f'] = 'f', ['"'] = '"', ['\\'] = '\\' };
	char s[5] = { (char)byte };

	if (byte < sizeof(letters) && letters[byte]) {
		s[0] = '\\';
		s[1] = letters[byte];
	} else if (byte < ' ' || byte > '~') {
		bool whole = wj_is_digit((char)next);
		int n = 0;

		s[n++] = '\\';
		if (whole || byte >= 0100)
			s[n++] = (char)('0' + (byte >> 6));
		if (whole || byte >= 010)
			s[n++] = (char)('0' + (byte >> 3 & 7));
		s[n] = (char)('0' + (byte & 7));
	}
	wj_text_put(t, s);
}

/* `size` bytes at `address`, at most STRING_MAX. */
void wj_text_bytes(struct wj_text *t, u32 address, u32 size)
{
	u32 n = min(size, (u32)STRING_MAX);
	u8 bytes[STRING_MAX + 1] = { 0 };

	if (!address || wj_get(t->p, bytes, address, n)) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "\"");
	for (u32 i = 0; i < n; i++)
		wj_text_byte(t, bytes[i], i + 1 < n ? bytes[i + 1] : 0);
	wj_text_put(t, n < size ? "\"..." : "\"");
}

/* What is the name of a file, or another string, is shown nearly whole; up to NUL, or `size`. */
void wj_text_name(struct wj_text *t, u32 address, u32 size)
{
	u8 byte = 0, next;
	u32 n;

	if (!address || (size && wj_get(t->p, &byte, address, 1))) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "\"");
	for (n = 0; n < size && byte && n < PATH_MAX_SHOWN; n++) {
		if (n + 1 == size || wj_get(t->p, &next, address + n + 1, 1))
			next = 0;
		wj_text_byte(t, byte, next);
		byte = next;
	}
	wj_text_put(t, byte ? "\"..." : "\"");
}

void wj_text_string(struct wj_text *t, u32 address)
{
	wj_text_name(t, address, ~0u);
}

/*
 * Arrays: "[", elements, "]".  `show` gets the address of each element of `size` bytes; count may be
 * anything that the guest has said.
 */
void wj_text_array(struct wj_text *t, u32 address, u32 count, u32 size,
		      void (*show)(struct wj_text *t, u32 address))
{
	u8 probe;

	if (!address || (count && wj_get(t->p, &probe, address, 1))) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "[");
	for (u32 i = 0; i < count && i <= WJ_TRACE_LIST_MAX; i++) {
		wj_text_put(t, i ? ", " : "");
		if (i == WJ_TRACE_LIST_MAX)
			wj_text_put(t, "...");
		else
			show(t, address + i * size);
	}
	wj_text_put(t, "]");
}

void wj_text_u32(struct wj_text *t, u32 address)
{
	u32 value;

	if (wj_get_u32(t->p, &value, address))
		wj_text_put(t, "?");
	else
		wj_text_signed(t, (s32)value);
}

void wj_text_value_at(struct wj_text *t, u32 address, bool wide)
{
	u64 value = 0;

	if (!address || wj_get(t->p, &value, address, wide ? 8 : 4)) {
		wj_text_address(t, address);
		return;
	}
	wj_text_put(t, "[");
	wj_text_signed(t, wide ? (s64)value : (s32)value);
	wj_text_put(t, "]");
}

/* A double's bits, as a whole number: kernel C has no floating point. */
void wj_text_double(struct wj_text *t, u64 bits)
{
	int shift = 1075 - (int)(bits >> 52 & 0x7ff);
	u64 mantissa = (bits & ((1ull << 52) - 1)) | 1ull << 52;

	if (shift <= 0) {
		wj_text_hex(t, bits);
		return;
	}
	wj_text_put(t, bits >> 63 ? "-" : "");
	wj_text_unsigned(t, shift < 64 ? mantissa >> shift : 0);
}
