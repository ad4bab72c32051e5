/*
 * Counts the calls by which a process changes a disk, across all its threads, and kills it before one of them.
 *
 * KILL_AT=K    kill before the K-th such call (from 1); 0 or unset: never
 * KILL_ARMED=F count only while the file F exists
 * KILL_COUNT=F write the number of calls to the file F when the process ends by itself
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static long kill_at;
static const char *count_file;
static const char *armed_file;

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("KILL_AT");
    kill_at = at ? atol(at) : 0;
    count_file = getenv("KILL_COUNT");
    armed_file = getenv("KILL_ARMED");
}

__attribute__((destructor)) static void end(void) {
    if (!count_file) return;
    int file = syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
    if (file >= 0 && length > 0) syscall(SYS_write, file, text, length);
}

static void point(void) {
    if (armed_file && syscall(SYS_access, armed_file, F_OK)) return;
    if (atomic_fetch_add(&calls, 1) + 1 == kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int f, const void *b, size_t n) { point(); return NEXT(write)(f, b, n); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t o) { point(); return NEXT(pwrite64)(f, b, n, o); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { point(); return NEXT(pwrite)(f, b, n, o); }
int fsync(int f) { point(); return NEXT(fsync)(f); }
int fdatasync(int f) { point(); return NEXT(fdatasync)(f); }
int sync_file_range(int f, off64_t o, off64_t n, unsigned w) { point(); return NEXT(sync_file_range)(f, o, n, w); }
int rename(const char *a, const char *b) { point(); return NEXT(rename)(a, b); }
int unlinkat(int f, const char *p, int flags) { point(); return NEXT(unlinkat)(f, p, flags); }
int rmdir(const char *p) { point(); return NEXT(rmdir)(p); }
int unlink(const char *p) { point(); return NEXT(unlink)(p); }
int ftruncate64(int f, off64_t n) { point(); return NEXT(ftruncate64)(f, n); }
int ftruncate(int f, off_t n) { point(); return NEXT(ftruncate)(f, n); }
int mkdir(const char *p, mode_t m) { point(); return NEXT(mkdir)(p, m); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT) point();
    return NEXT(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT) point();
    return NEXT(open)(path, flags, mode);
}
