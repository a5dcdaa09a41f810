// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap.  The guest finds the addresses: 64 KiB aligned pieces of its heap.
 * The host maps there with MAP_FIXED, and puts ordinary zero pages back at
 * munmap.  These are the functions that libc's mmap() and munmap() call.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wjposix.h"

#define PAGE 65536u

/* One piece of the heap; mapped[] says which of its pages are in use. */
struct region {
	struct region *next;
	char *base;
	unsigned int pages, mapped_count;
	unsigned char mapped[];
};

static struct region *regions;

static struct region *region_of(const char *address, size_t length)
{
	struct region *region;

	for (region = regions; region; region = region->next) {
		size_t offset = address - region->base;
		size_t size = (size_t)region->pages * PAGE;

		if (address >= region->base && offset < size && length <= size - offset)
			return region;
	}
	return NULL;
}

static struct region *region_create(size_t length)
{
	unsigned int pages = (length + PAGE - 1) / PAGE;
	struct region *region = malloc(sizeof(*region) + pages);

	if (!region)
		return NULL;
	region->base = memalign(PAGE, (size_t)pages * PAGE);
	if (!region->base) {
		free(region);
		return NULL;
	}
	region->pages = pages;
	region->mapped_count = 0;
	memset(region->mapped, 0, pages);
	region->next = regions;
	regions = region;
	return region;
}

static void region_destroy(struct region *region)
{
	struct region **link = &regions;

	while (*link != region)
		link = &(*link)->next;
	*link = region->next;
	free(region->base);
	free(region);
}

static void region_mark(struct region *region, const char *address, size_t length, int mapped)
{
	unsigned int first = (address - region->base) / PAGE;
	unsigned int end = first + (length + PAGE - 1) / PAGE;

	for (unsigned int i = first; i < end; i++) {
		region->mapped_count += mapped - region->mapped[i];
		region->mapped[i] = mapped;
	}
}

/* offset counts 4,096 bytes, as in the system call of 32-bit Linux */
long __syscall_mmap2(long address, long length, long prot, long flags, long fd, long offset)
{
	struct region *region;
	char *target;
	int ret;

	if (length <= 0)
		return length ? -ENOMEM : -EINVAL;
	/* Rounding it up must not wrap. */
	if ((unsigned long)length > 0x7fff0000u)
		return -ENOMEM;
	if (flags & MAP_FIXED) {
		/* Only over what mmap gave before: anything else is somebody's heap. */
		target = (char *)address;
		region = region_of(target, length);
		if (!region || (unsigned long)address % PAGE)
			return -EINVAL;
	} else {
		region = region_create(length);
		if (!region)
			return -ENOMEM;
		target = region->base;
	}
	ret = wj_host_syscall_mmap2(P(target), length, prot, flags | MAP_FIXED, fd, offset);
	if ((unsigned int)ret > -4096u) {
		if (!region->mapped_count)
			region_destroy(region);
		return ret;
	}
	region_mark(region, target, length, 1);
	return (long)target;
}

long __syscall_munmap(long address, long length)
{
	unsigned long start = address, end;

	if (start % PAGE || length <= 0)
		return -EINVAL;
	end = start + (((unsigned long)length + PAGE - 1) & -PAGE);
	/* As on Linux, the range may have holes and cross several mappings. */
	for (unsigned long page = start; page < end; page += PAGE) {
		struct region *region = region_of((char *)page, PAGE);
		unsigned long stop;
		int ret;

		if (!region)
			continue;
		stop = (unsigned long)region->base + (unsigned long)region->pages * PAGE;
		if (stop > end)
			stop = end;
		ret = wj_host_syscall_munmap(page, stop - page);
		if (ret < 0)
			return ret;
		region_mark(region, (char *)page, stop - page, 0);
		if (!region->mapped_count)
			region_destroy(region);
		page = stop - PAGE;
	}
	return 0;
}

long __syscall_msync(long address, long length, long flags)
{
	return wj_host_syscall_msync(address, length, flags);
}

long __syscall_mremap(long address, long old_length, long new_length, long flags, long wanted)
{
	struct region *old = region_of((char *)address, old_length), *new;
	unsigned long old_size = ((unsigned long)old_length + PAGE - 1) & -PAGE;
	unsigned long new_size = ((unsigned long)new_length + PAGE - 1) & -PAGE;
	int ret;

	(void)wanted;
	if (!old || address % PAGE || new_length <= 0 || old_length <= 0 || flags & MREMAP_FIXED)
		return -EINVAL;
	if (new_size <= old_size) {
		ret = new_size == old_size ?
			      0 :
			      __syscall_munmap(address + new_size, old_size - new_size);
		/* Within the last 64 KiB the host may still have to map more. */
		if (ret < 0 || new_length <= old_length)
			return ret < 0 ? ret : address;
		ret = wj_host_syscall_mremap(address, old_length, new_length, 0, 0);
		return ret < 0 && (unsigned int)ret > -4096u ? ret : address;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	new = region_create(new_length);
	if (!new)
		return -ENOMEM;
	ret = wj_host_syscall_mremap(address, old_length, new_length,
				     MREMAP_MAYMOVE | MREMAP_FIXED, P(new->base));
	if ((unsigned int)ret > -4096u) {
		region_destroy(new);
		return ret;
	}
	region_mark(new, new->base, new_length, 1);
	region_mark(old, (char *)address, old_length, 0);
	if (!old->mapped_count)
		region_destroy(old);
	return (long)new->base;
}
