// SPDX-License-Identifier: GPL-2.0-only
/* mmap in its forms, and locks in memory that processes share. */

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>

#include "transcript.h"

/* What a mapping may start at everywhere: 64 KiB. */
#define UNIT 65536

static void *map(size_t length, int protection, int flags, int fd, off_t offset)
{
	void *address = mmap(NULL, length, protection, flags, fd, offset);

	if (address == MAP_FAILED) {
		say("mmap: %s", error_name(errno));
		exit(98);
	}
	return address;
}

#define READ_WRITE (PROT_READ | PROT_WRITE)

static int all_zero(const char *memory, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (memory[i])
			return 0;
	return 1;
}

static void anonymous(void)
{
	char *private = map(3 * UNIT + 100, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = map(2 * UNIT, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	say("zero: %d %d", all_zero(private, 3 * UNIT + 100), all_zero(shared, 2 * UNIT));
	say("aligned: %d %d", (uintptr_t)private % 4096 == 0, (uintptr_t)shared % 4096 == 0);
	strcpy(private, "before");
	strcpy(shared, "before");
	pid = MUST(fork());
	if (!pid) {
		strcpy(private, "child");
		strcpy(shared + UNIT, "child");
		_exit(strcmp(shared, "before"));
	}
	say("child: %s", ended(reap(pid)));
	say("private: %s, shared: %s and %s", private, shared, shared + UNIT);

	/* Holes. */
	memset(private, 'x', 3 * UNIT);
	MUST(munmap(private + UNIT, UNIT));
	say("the rest is there: %c %c", private[0], private[2 * UNIT]);
	MUST(munmap(private, 3 * UNIT + 100));
	private = map(3 * UNIT, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("new memory is zero again: %d", all_zero(private, 3 * UNIT));
	MUST(munmap(private, 3 * UNIT));
	MUST(munmap(shared, 2 * UNIT));
	say("no length: %s",
	    mmap(NULL, 0, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ?
		    error_name(errno) :
		    "ok");
	say("bad descriptor: %s", mmap(NULL, UNIT, PROT_READ, MAP_SHARED, 999, 0) == MAP_FAILED ?
					  error_name(errno) :
					  "ok");
}

static void files(void)
{
	char *shared, *private, *second, byte;
	int fd, read_only;

	enter_directory();
	fd = MUST(open("file", O_CREAT | O_RDWR, 0600));
	MUST(ftruncate(fd, 2 * UNIT + 10));
	MUST(pwrite(fd, "first", 5, 0));
	MUST(pwrite(fd, "second", 6, UNIT));
	shared = map(2 * UNIT + 10, READ_WRITE, MAP_SHARED, fd, 0);
	private = map(2 * UNIT, READ_WRITE, MAP_PRIVATE, fd, 0);
	second = map(UNIT, PROT_READ, MAP_SHARED, fd, UNIT);
	say("%.5s %.6s %.6s", shared, private + UNIT, second);
	memcpy(shared + UNIT, "SHARED", 6);
	memcpy(private, "PRIVATE", 7);
	MUST(pread(fd, &byte, 1, 0));
	say("private stays private: %c", byte);
	MUST(pread(fd, &byte, 1, UNIT));
	say("shared reaches the file: %c, and the other mapping: %c", byte, second[0]);
	MUST(pwrite(fd, "written", 7, 2 * UNIT));
	say("and back: %.7s", shared + 2 * UNIT);
	MUST(msync(shared, UNIT, MS_SYNC));
	MUST(munmap(shared, 2 * UNIT + 10));
	MUST(munmap(private, 2 * UNIT));
	say("the other one stays: %.6s", second);
	MUST(munmap(second, UNIT));
	read_only = MUST(open("file", O_RDONLY));
	say("write through a read-only descriptor: %s",
	    mmap(NULL, UNIT, READ_WRITE, MAP_SHARED, read_only, 0) == MAP_FAILED ?
		    error_name(errno) :
		    "ok");
	/* A closed descriptor does not end its mapping. */
	second = map(UNIT, PROT_READ, MAP_PRIVATE, read_only, UNIT);
	close(read_only);
	close(fd);
	unlink("file");
	say("still: %.6s", second);
	MUST(munmap(second, UNIT));
	leave_directory();
}

static void changes(void)
{
	char *memory = map(2 * UNIT, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;

	strcpy(memory, "moves along");
	moved = mremap(memory, 2 * UNIT, 16 * UNIT, MREMAP_MAYMOVE);
	say("mremap: %s, the new part is zero: %d", moved == MAP_FAILED ? "failed" : moved,
	    all_zero(moved + 2 * UNIT, 14 * UNIT));
	moved[15 * UNIT] = 1;
	memory = mremap(moved, 16 * UNIT, UNIT, 0);
	say("smaller: %d %s", memory == moved, memory);
	MUST(mprotect(memory, UNIT, PROT_READ));
	say("read-only: %s", memory);
	MUST(mprotect(memory, UNIT, READ_WRITE));
	memory[0] = 'M';
	say("writable again: %s", memory);
	MUST(madvise(memory, UNIT, MADV_DONTNEED));
	say("thrown away: %d", all_zero(memory, UNIT));
	memory[0] = 'x';
	moved = mmap(memory, UNIT, READ_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("mapped over: %d, zero %d", moved == memory, all_zero(memory, UNIT));
	MUST(munmap(memory, UNIT));
}

static void much(void)
{
	char *maps[50];
	int good = 1;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++) {
			maps[i] = map(UNIT * (1 + i % 3), READ_WRITE,
				      (i % 2 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
			good &= !maps[i][0] && !maps[i][UNIT - 1];
			memset(maps[i], i, UNIT);
		}
		for (int i = 0; i < 50; i++) {
			good &= maps[i][100] == i;
			MUST(munmap(maps[i], UNIT * (1 + i % 3)));
		}
	}
	say("a thousand mappings: %d", good);
}

struct shared {
	sem_t sem;
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	int counter, atomic, turn;
};

static void locks(void)
{
	struct shared *shared =
		map(sizeof(*shared), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex_attributes;
	pthread_condattr_t condition_attributes;
	struct timespec deadline;
	pid_t pids[3];
	int value;

	pthread_mutexattr_init(&mutex_attributes);
	pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex_attributes);
	pthread_condattr_init(&condition_attributes);
	pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->condition, &condition_attributes);
	MUST(sem_init(&shared->sem, 1, 0));

	for (int i = 0; i < 3; i++) {
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		sem_wait(&shared->sem);
		for (int j = 0; j < 5000; j++) {
			pthread_mutex_lock(&shared->mutex);
			shared->counter++;
			pthread_mutex_unlock(&shared->mutex);
			__sync_fetch_and_add(&shared->atomic, 1);
		}
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		MUST(sem_post(&shared->sem));
	for (int i = 0; i < 3; i++)
		reap(pids[i]);
	say("counted under a mutex: %d, atomically: %d", shared->counter, shared->atomic);
	MUST(sem_getvalue(&shared->sem, &value));
	say("semaphore: %d, try: %s", value, outcome(sem_trywait(&shared->sem)));
	clock_gettime(CLOCK_REALTIME, &deadline);
	say("timed: %s", outcome(sem_timedwait(&shared->sem, &deadline)));

	/* Two processes take turns. */
	pids[0] = MUST(fork());
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn % 2 != !pids[0])
			pthread_cond_wait(&shared->condition, &shared->mutex);
		shared->turn++;
		pthread_cond_signal(&shared->condition);
		pthread_mutex_unlock(&shared->mutex);
	}
	if (!pids[0])
		_exit(0);
	say("the other one: %s", ended(reap(pids[0])));
	say("turns: %d", shared->turn);
	pthread_mutex_lock(&shared->mutex);
	say("held: %s", error_name(pthread_mutex_trylock(&shared->mutex)));
	pthread_mutex_unlock(&shared->mutex);
	MUST(munmap(shared, sizeof(*shared)));
}

static void named_semaphore(void)
{
	char name[64];
	sem_t *sem, *again;
	pid_t pid;

	snprintf(name, sizeof(name), "/wj-test-%d", (int)getpid());
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	say("sem_open: %d, once more: %s", sem != SEM_FAILED,
	    sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED ? error_name(errno) : "ok");
	pid = MUST(fork());
	if (!pid) {
		again = sem_open(name, 0);
		_exit(sem_post(again));
	}
	say("child: %s", ended(reap(pid)));
	say("twice: %s", outcome(sem_trywait(sem)));
	say("twice: %s", outcome(sem_trywait(sem)));
	say("and no more: %s", outcome(sem_trywait(sem)));
	MUST(sem_close(sem));
	MUST(sem_unlink(name));
	say("gone: %s", sem_open(name, 0) == SEM_FAILED ? error_name(errno) : "ok");
}

int main(void)
{
	anonymous();
	files();
	changes();
	much();
	locks();
	named_semaphore();
	say("end");
	return 0;
}
