/* SPDX-License-Identifier: Apache-2.0

   Counts the system calls by which a process changes its disk or says something, and kills it
   at one of them. Preloaded (LD_PRELOAD), so that Python's calls and SQLite's are counted alike.

   killer_arm(at, kinds, half): kill before the call number `at` of these kinds (0: never), or,
   with `half`, after writing the first half of what a write was to write.
   killer_count(kind): calls of one kind since.                                             */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { SYNC = 1, NAME = 2, DATA = 4, SAY = 8 };

static atomic_long count, counts[SAY + 1];
static long at;
static int kinds, half;

void killer_arm(long number, int of_kinds, int torn) {
    at = number, kinds = of_kinds, half = torn;
    atomic_store(&count, 0);
    for (int kind = 0; kind <= SAY; kind++) atomic_store(&counts[kind], 0);
}

long killer_count(int kind) { return atomic_load(&counts[kind]); }

static int dies(int kind) {
    atomic_fetch_add(&counts[kind], 1);
    return (kinds & kind) && atomic_fetch_add(&count, 1) + 1 == at;
}

static void die(void) {
    for (;;) kill(getpid(), SIGKILL);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define HOOK(kind, type, name, params, args) \
    type name params { REAL(name); if (dies(kind)) die(); return real args; }

HOOK(SYNC, int, fsync, (int fd), (fd))
HOOK(SYNC, int, fdatasync, (int fd), (fd))
HOOK(NAME, int, rename, (const char *a, const char *b), (a, b))
HOOK(NAME, int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b))
HOOK(NAME, int, unlink, (const char *a), (a))
HOOK(NAME, int, unlinkat, (int d, const char *a, int flags), (d, a, flags))
HOOK(NAME, int, mkdir, (const char *a, mode_t mode), (a, mode))
HOOK(NAME, int, rmdir, (const char *a), (a))
HOOK(DATA, int, ftruncate, (int fd, off_t size), (fd, size))
HOOK(DATA, int, ftruncate64, (int fd, off64_t size), (fd, size))

static int kind_of(int fd) {
    struct stat told;
    return fstat(fd, &told) == 0 && S_ISREG(told.st_mode) ? DATA : SAY;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (dies(kind_of(fd))) {
        if (half) real(fd, data, size / 2);
        die();
    }
    return real(fd, data, size);
}

#define PWRITE(name, type) \
    ssize_t name(int fd, const void *data, size_t size, type where) { \
        REAL(name); \
        if (dies(DATA)) { if (half) real(fd, data, size / 2, where); die(); } \
        return real(fd, data, size, where); \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
