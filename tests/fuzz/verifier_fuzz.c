// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer at the image parser and the verifier; what they accept is instantiated and run in the
 * interpreter that checks the verifier's promises (tests/native/shadow.c).  verifier.py builds it.
 *
 * The mutator knows the format: it changes the bytes of one section, a body's as often as not, or
 * an instruction's, and puts a header around the result whose sizes are right, most of the time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"
#include "isa_hash.h"
#include "native.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define MAX_INPUT (64u << 10)
#define POLLS 50

/* Asked of the platform by the verifier's and the interpreter's callers only. */
static struct { uint64_t rejected, accepted, calls; } counts;

static int nothing(struct wj_instance *inst, void *data, u64 *args)
{
	const struct wj_func_type *type = data;
	u32 i;

	(void)inst;
	for (i = 0; i < type->n_results; i++)
		args[i] = 0;
	return 0;
}

static void run(struct wj_image *image, unsigned int seed)
{
	u32 n = wj_image_import_count(image), i, k;
	struct wj_extern *imports = calloc(n + 1, sizeof(*imports));
	struct wj_instance *inst = NULL;
	struct wj_error error;
	struct wj_store *store;

	for (i = 0; i < n; i++) {
		struct wj_import_info info;

		wj_image_import(image, i, &info);
		imports[i].kind = info.kind;
		if (info.kind == WJ_FUNC) {
			imports[i].host = nothing;
			imports[i].data = (void *)info.type;
		}
	}
	if (wj_store_create(&store))
		abort();
	/* Imports of other kinds are refused: there is nobody to import from. */
	if (wj_instance_create(store, image, WJ_ENGINE_INTERP, imports, NULL, &error, &inst) >= 0 && inst) {
		for (i = 0; i < image->n_functions && i < 4; i++) {
			u64 args[1001];

			for (k = 0; k < 1001; k++)
				args[k] = (seed = seed * 1103515245 + 12345) >> 8 & 0xffff;
			*wj_poll_flags(inst) = 1;
			native.polls_to_trap = POLLS;
			wj_call(inst, i, args);
			counts.calls++;
		}
	}
	wj_store_destroy(store);
	free(imports);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	long before = native.allocations;
	struct wj_image *image;
	struct wj_error error;
	/* Exactly as large, so that the sanitizer sees what is read behind it. */
	uint8_t *bytes = malloc(size ? size : 1);
	int ret;

	memcpy(bytes, data, size);
	ret = wj_image_create(bytes, size, &error, &image);
	if (ret) {
		counts.rejected++;
		if (ret > 0 || !error.message)
			abort();
	} else {
		counts.accepted++;
		run(image, (unsigned int)size);
		wj_image_destroy(image);
	}
	if (native.allocations != before) {
		fprintf(stderr, "%ld allocations left over\n", native.allocations - before);
		abort();
	}
	free(bytes);
	return 0;
}

static void report(void)
{
	fprintf(stderr, "verifier_fuzz: %llu rejected, %llu accepted, %llu calls\n",
		(unsigned long long)counts.rejected, (unsigned long long)counts.accepted,
		(unsigned long long)counts.calls);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	native_init();
	atexit(report);
	return 0;
}

static u32 get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}

static void put32(uint8_t *p, u32 value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
	p[3] = (uint8_t)(value >> 24);
}

struct part {
	u32 id, size;
	const uint8_t *bytes;
};

/* The sections of what may be an image: their number, 0 if it is none. */
static u32 take_apart(const uint8_t *data, size_t size, struct part *parts)
{
	u32 i, n;

	if (size < 64 || (n = get32(data + 20)) > 12 || size < 64 + 12 * n)
		return 0;
	for (i = 0; i < n; i++) {
		const uint8_t *entry = data + 64 + 12 * i;
		u32 offset = get32(entry + 4);

		parts[i].id = get32(entry);
		parts[i].size = get32(entry + 8);
		if (offset > size || parts[i].size > size - offset)
			return 0;
		parts[i].bytes = data + offset;
	}
	return n;
}

static size_t put_together(uint8_t *out, size_t max, const struct part *parts, u32 n)
{
	u32 i, at = 64 + 12 * n;

	memset(out, 0, 64);
	memcpy(out, WJ_IMAGE_MAGIC, 8);
	for (i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)(WJ_ISA_HASH >> (8 * i));
	put32(out + 20, n);
	for (i = 0; i < n; i++) {
		if (parts[i].size > max - at)
			return 0;
		put32(out + 64 + 12 * i, parts[i].id);
		put32(out + 68 + 12 * i, at);
		put32(out + 72 + 12 * i, parts[i].size);
		memcpy(out + at, parts[i].bytes, parts[i].size);
		at += parts[i].size;
	}
	put32(out + 16, at);
	return at;
}

static bool read_u32(const uint8_t *p, u32 size, u32 *at, u32 *ret)
{
	u32 shift;

	for (*ret = shift = 0; *at < size && shift < 35; shift += 7) {
		*ret |= (u32)(p[*at] & 0x7f) << shift;
		if (!(p[(*at)++] & 0x80))
			return true;
	}
	return false;
}

/* One body of the code section is changed, and its size, which is in five bytes from then on. */
static u32 mutate_body(uint8_t *out, u32 max, const struct part *code, unsigned int seed)
{
	u32 at = 0, n = 0, length, start = 0, chosen_length = 0, chosen_start = 0, size;

	while (at < code->size) {
		start = at;
		if (!read_u32(code->bytes, code->size, &at, &length) || length > code->size - at)
			break;
		if (seed % ++n == 0) {
			chosen_start = start;
			chosen_length = length;
		}
		at += length;
	}
	at = chosen_start;
	if (!n || !read_u32(code->bytes, code->size, &at, &length) || length != chosen_length)
		return 0;
	if (code->size + 16 > max)
		return 0;
	memcpy(out, code->bytes, chosen_start);
	memcpy(out + chosen_start + 5, code->bytes + at, length);
	size = (u32)LLVMFuzzerMutate(out + chosen_start + 5, length,
				     max - chosen_start - 5 - (code->size - at - length));
	for (n = 0; n < 5; n++)
		out[chosen_start + n] = (uint8_t)((size >> (7 * n) & 0x7f) | (n < 4 ? 0x80 : 0));
	memcpy(out + chosen_start + 5 + size, code->bytes + at + length, code->size - at - length);
	return chosen_start + 5 + size + (code->size - at - length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static uint8_t section[MAX_INPUT], whole[2 * MAX_INPUT];
	struct part parts[12];
	u32 n = take_apart(data, size, parts), i, k;

	if (!n || seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	k = seed / 16 % n;
	for (i = 0; i < n; i++)
		if (parts[i].id == WJ_SECTION_CODE && seed / 256 % 4)
			k = i;
	if (parts[k].size > sizeof(section) / 2)
		return LLVMFuzzerMutate(data, size, max_size);
	if (parts[k].id == WJ_SECTION_CODE && seed / 1024 % 8)
		parts[k].size = mutate_body(section, sizeof(section), &parts[k], seed / 8192);
	else {
		memcpy(section, parts[k].bytes, parts[k].size);
		parts[k].size = (u32)LLVMFuzzerMutate(section, parts[k].size, sizeof(section) / 2);
	}
	parts[k].bytes = section;
	size = put_together(whole, max_size < sizeof(whole) ? max_size : sizeof(whole), parts, n);
	if (!size)
		return LLVMFuzzerMutate(data, 1, max_size);
	memcpy(data, whole, size);
	return size;
}

/* A section of one in the place of the other's. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max_size, unsigned int seed)
{
	struct part of_a[12], of_b[12];
	u32 n = take_apart(a, a_size, of_a), m = take_apart(b, b_size, of_b), i, k;

	if (!n || !m)
		return 0;
	k = seed % m;
	for (i = 0; i < n; i++)
		if (of_a[i].id == of_b[k].id)
			of_a[i] = of_b[k];
	return put_together(out, max_size, of_a, n);
}
