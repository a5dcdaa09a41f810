/* SPDX-License-Identifier: GPL-2.0-only */
/* WASI's functions with pointers and sizes as they are: wasi-libc's own wrappers take C strings. */
#ifndef WASI_RAW_H
#define WASI_RAW_H

#include <stdint.h>
#include <wasi/api.h>

#define RAW(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) \
	uint16_t raw_##name

RAW(args_get)(uint32_t, uint32_t);
RAW(args_sizes_get)(uint32_t, uint32_t);
RAW(clock_res_get)(uint32_t, uint32_t);
RAW(clock_time_get)(uint32_t, uint64_t, uint32_t);
RAW(environ_get)(uint32_t, uint32_t);
RAW(environ_sizes_get)(uint32_t, uint32_t);
RAW(fd_advise)(uint32_t, uint64_t, uint64_t, uint32_t);
RAW(fd_allocate)(uint32_t, uint64_t, uint64_t);
RAW(fd_close)(uint32_t);
RAW(fd_datasync)(uint32_t);
RAW(fd_fdstat_get)(uint32_t, uint32_t);
RAW(fd_fdstat_set_flags)(uint32_t, uint32_t);
RAW(fd_fdstat_set_rights)(uint32_t, uint64_t, uint64_t);
RAW(fd_filestat_get)(uint32_t, uint32_t);
RAW(fd_filestat_set_size)(uint32_t, uint64_t);
RAW(fd_filestat_set_times)(uint32_t, uint64_t, uint64_t, uint32_t);
RAW(fd_pread)(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t);
RAW(fd_prestat_dir_name)(uint32_t, uint32_t, uint32_t);
RAW(fd_prestat_get)(uint32_t, uint32_t);
RAW(fd_pwrite)(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t);
RAW(fd_read)(uint32_t, uint32_t, uint32_t, uint32_t);
RAW(fd_readdir)(uint32_t, uint32_t, uint32_t, uint64_t, uint32_t);
RAW(fd_renumber)(uint32_t, uint32_t);
RAW(fd_seek)(uint32_t, uint64_t, uint32_t, uint32_t);
RAW(fd_sync)(uint32_t);
RAW(fd_tell)(uint32_t, uint32_t);
RAW(fd_write)(uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_create_directory)(uint32_t, uint32_t, uint32_t);
RAW(path_filestat_get)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_filestat_set_times)(uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t);
RAW(path_link)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_open)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t, uint32_t);
RAW(path_readlink)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_remove_directory)(uint32_t, uint32_t, uint32_t);
RAW(path_rename)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_symlink)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_unlink_file)(uint32_t, uint32_t, uint32_t);
RAW(poll_oneoff)(uint32_t, uint32_t, uint32_t, uint32_t);
RAW(proc_raise)(uint32_t);
RAW(random_get)(uint32_t, uint32_t);
RAW(sched_yield)(void);
RAW(sock_accept)(uint32_t, uint32_t, uint32_t);
RAW(sock_recv)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(sock_send)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(sock_shutdown)(uint32_t, uint32_t);

#endif
