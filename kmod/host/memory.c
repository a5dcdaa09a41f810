// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of guests: growth, and mappings of files and shared memory over linear memory.
 *
 * The guest chooses the addresses (guest/src/memory.c), in pieces of 64 KiB of its own heap; here
 * they are checked to be inside linear memory and mapped there.  What is unmapped becomes ordinary
 * zero pages again, so linear memory never has holes.
 */
#include "host.h"

#define PAGE 65536ull
#define PROT_EXEC 4
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_KEPT 0x23		/* SHARED, PRIVATE, ANONYMOUS */
#define MAP_LOCKED 0x2000
#define MAP_POPULATE 0x8000
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2

static u64 round_up(u64 size)
{
	return (size + PAGE - 1) & -PAGE;
}

/* Whole 64 KiB pages inside linear memory? */
static bool inside(struct wj_process *p, u64 address, u64 size)
{
	return !(address % PAGE) && size && address + round_up(size) <= wj_memory_size(p->inst);
}

/* Where that fails there may be a hole, in which the process's own memory could come to lie. */
static s64 map_anonymous(struct wj_process *p, u32 address, u64 size)
{
	s64 ret = wj_sys(p, __NR_mmap, wj_user(p, address), round_up(size), 3 /* READ, WRITE */,
			 2 /* PRIVATE */ | MAP_FIXED | MAP_ANONYMOUS, -1, 0);

	if (ret >= 0 || ret < -4095)
		return 0;
	if (!p->unwind)
		p->unwind = WJ_TRAP_OUT_OF_MEMORY;
	return ret;
}

s64 wj_host_syscall_mmap2(struct wj_process *p, const u64 *a)
{
	u32 flags = (a[3] & (MAP_KEPT | MAP_LOCKED | MAP_POPULATE)) | MAP_FIXED;
	s64 ret;

	if (!inside(p, (u32)a[0], (u32)a[1]) || !(a[3] & MAP_FIXED))
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS) && wj_bad_fd(p, a[4]))
		return -EBADF;
	ret = wj_sys(p, __NR_mmap, wj_user(p, a[0]), round_up((u32)a[1]), a[2] & ~PROT_EXEC, flags,
		     (s32)a[4], (u64)(u32)a[5] << 12);
	if (ret < 0 && ret >= -4095) {
		/* The kernel may have unmapped before it failed. */
		map_anonymous(p, a[0], (u32)a[1]);
		return ret;
	}
	return (u32)a[0];
}

s64 wj_host_syscall_munmap(struct wj_process *p, const u64 *a)
{
	if (!inside(p, (u32)a[0], (u32)a[1]))
		return -EINVAL;
	return map_anonymous(p, a[0], (u32)a[1]);
}

s64 wj_host_syscall_mremap(struct wj_process *p, const u64 *a)
{
	s64 ret;

	if (!inside(p, (u32)a[0], (u32)a[1]))
		return -EINVAL;
	/* Mappings are made in whole 64 KiB: what fits is there already. */
	if (!(a[3] & MREMAP_FIXED))
		return round_up((u32)a[2]) == round_up((u32)a[1]) ? (s64)(u32)a[0] : -ENOMEM;
	if (!inside(p, (u32)a[4], (u32)a[2]))
		return -EINVAL;
	ret = wj_sys(p, __NR_mremap, wj_user(p, a[0]), round_up((u32)a[1]), round_up((u32)a[2]),
		     MREMAP_MAYMOVE | MREMAP_FIXED, wj_user(p, a[4]), 0);
	if (ret < 0 && ret >= -4095) {
		map_anonymous(p, a[4], (u32)a[2]);
		return ret;
	}
	ret = map_anonymous(p, a[0], (u32)a[1]);
	return ret ? ret : (s64)(u32)a[4];
}

s64 wj_host_syscall_mprotect(struct wj_process *p, const u64 *a)
{
	if ((u32)a[0] + (u64)(u32)a[1] > wj_memory_size(p->inst))
		return -ENOMEM;
	return wj_sys(p, __NR_mprotect, wj_user(p, a[0]), (u32)a[1], a[2] & ~PROT_EXEC, 0, 0, 0);
}

#define MADV_DONTFORK 10	/* a child with a hole where its linear memory was */

s64 wj_host_syscall_madvise(struct wj_process *p, const u64 *a)
{
	if ((u32)a[2] == MADV_DONTFORK)
		return -EINVAL;
	return wj_sys(p, __NR_madvise, wj_user(p, a[0]), (u32)a[1], (s32)a[2], 0, 0, 0);
}

s64 wj_host_syscall_msync(struct wj_process *p, const u64 *a)
{
	return wj_sys(p, __NR_msync, wj_user(p, a[0]), (u32)a[1], (s32)a[2], 0, 0, 0);
}

/* Without the overlay: Emscripten copies the file into memory it allocates, so does this. */
static s64 copy_file(struct wj_process *p, u32 length, u32 fd, u64 offset, u32 allocated)
{
	u32 size[2] = { 16, (length + 15) & ~15u }, address, at = 0;

	if (wj_bad_fd(p, fd))
		return -(s64)WJ_EM_EBADF;
	address = wj_call_export(p, p->host->exports.memalign, size, 2);
	if (!address || wj_zero_user(wj_user(p, address), length))
		return -(s64)WJ_EM_ENOMEM;
	while (at < length) {
		s64 n = wj_sys(p, __NR_pread64, (s32)fd, wj_user(p, address + at), length - at,
			       offset + at, 0, 0);

		if (n > 0 && wj_breathe())
			n = -EINTR;
		if (n < 0)
			return -(s64)wj_guest_errno(-n);
		if (!n)
			break;
		at += n;
	}
	if (wj_put_u32(p, allocated, 1))
		return -(s64)WJ_EM_EFAULT;
	return address;
}

/* (size, prot, flags, fd, offset, how it was allocated): the address */
s64 wj_host_mmap_js(struct wj_process *p, const u64 *a)
{
	return copy_file(p, a[0], a[3], (u32)a[4], a[5]);
}

/* ... and where to put the address */
static s64 copy_file_to(struct wj_process *p, const u64 *a, u64 offset, u32 allocated, u32 to)
{
	s64 address = copy_file(p, a[0], a[3], offset, allocated);

	if (address < 0)
		return address;
	return wj_put_u32(p, to, address) ? -(s64)WJ_EM_EFAULT : 0;
}

s64 wj_host_mmap_js64(struct wj_process *p, const u64 *a)
{
	return copy_file_to(p, a, a[4], a[5], a[6]);
}

s64 wj_host_mmap_js64_split(struct wj_process *p, const u64 *a)
{
	return copy_file_to(p, a, (u32)a[4] | a[5] << 32, a[6], a[7]);
}

static s64 write_back(struct wj_process *p, u32 address, u32 size, u32 fd, u64 offset)
{
	u32 at = 0;

	if (wj_bad_fd(p, fd))
		return -(s64)WJ_EM_EBADF;
	while (at < size) {
		s64 n = wj_sys(p, __NR_pwrite64, (s32)fd, wj_user(p, address + at), size - at,
			       offset + at, 0, 0);

		if (n > 0 && wj_breathe())
			n = -EINTR;
		if (n <= 0)
			return -(s64)wj_guest_errno(n ? -n : EIO);
		at += n;
	}
	return 0;
}

/* (address, size, prot, flags, fd, offset): a shared writable mapping goes back to its file. */
static s64 unmap_file(struct wj_process *p, const u64 *a, u64 offset)
{
	/* PROT_WRITE and MAP_SHARED */
	if ((a[2] & 2) && (a[3] & 1))
		return write_back(p, a[0], a[1], a[4], offset);
	return 0;
}

s64 wj_host_munmap_js(struct wj_process *p, const u64 *a)
{
	return unmap_file(p, a, (u32)a[5]);
}

/* Of msync, too: it has the same arguments then. */
s64 wj_host_munmap_js64(struct wj_process *p, const u64 *a)
{
	return unmap_file(p, a, a[5]);
}

s64 wj_host_munmap_js64_split(struct wj_process *p, const u64 *a)
{
	return unmap_file(p, a, (u32)a[5] | a[6] << 32);
}

s64 wj_host_msync_js(struct wj_process *p, const u64 *a)
{
	return a[2] & 1 ? write_back(p, a[0], a[1], a[3], 0) : 0;
}

s64 wj_host_syscall_futex(struct wj_process *p, const u64 *a)
{
	u32 command = a[1] & 0x7f;	/* less FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME */
	u64 fourth = (u32)a[3];
	int err = 0;

	/* WAIT, LOCK_PI, WAIT_BITSET have a timeout there, the others a number */
	if (command == 0 || command == 6 || command == 9)
		fourth = wj_timespec_user(p, a[3], &err);
	if (err)
		return err;
	return wj_sys(p, __NR_futex, wj_user(p, a[0]), (s32)a[1], (u32)a[2], fourth,
		      wj_user_or_null(p, a[4]), (u32)a[5]);
}

/* Emscripten asks for bytes and is content with more; 20 % more saves calls, as in its own host. */
s64 wj_host_emscripten_resize_heap(struct wj_process *p, const u64 *a)
{
	u64 wanted = round_up((u32)a[0]), size = wj_memory_size(p->inst), more;

	if (wanted <= size)
		return 1;
	more = min(round_up(size + size / 5), round_up(wanted + (96 << 20)));
	if (more > wanted && more <= 1ull << 31 &&
	    wj_instance_memory_grow(p->inst, (more - size) / PAGE) >= 0)
		return 1;
	return wj_instance_memory_grow(p->inst, (wanted - size) / PAGE) >= 0;
}

s64 wj_host_emscripten_get_heap_max(struct wj_process *p, const u64 *a)
{
	(void)p;
	(void)a;
	return 1ll << 31;
}

s64 wj_host_emscripten_notify_memory_growth(struct wj_process *p, const u64 *a)
{
	(void)p;
	(void)a;
	return 0;
}

s64 wj_host_emscripten_runtime_keepalive_clear(struct wj_process *p, const u64 *a)
{
	return wj_host_emscripten_notify_memory_growth(p, a);
}

s64 wj_host_emscripten_memcpy_big(struct wj_process *p, const u64 *a)
{
	if (wj_move_user(wj_user(p, a[0]), wj_user(p, a[1]), (u32)a[2]))
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	return (u32)a[0];
}

s64 wj_host_emscripten_memcpy_js(struct wj_process *p, const u64 *a)
{
	return wj_host_emscripten_memcpy_big(p, a);
}
