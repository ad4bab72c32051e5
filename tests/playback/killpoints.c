/*
 * Counts the calls by which a process changes a disk, across all its threads, and kills it before one of them, or lets
 * them fail from one on.
 *
 * KILL_AT=K    kill before the K-th such call (from 1); 0 or unset: never
 * FAIL_AT=K    let the K-th such call and all later ones fail with EIO; only the K-th with FAIL_ONCE=1
 * KILL_ARMED=F count only while the file F exists
 * KILL_COUNT=F write the number of calls to the file F when the process ends by itself
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static long kill_at;
static long fail_at;
static int fail_once;
static const char *count_file;
static const char *armed_file;

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("KILL_AT");
    kill_at = at ? atol(at) : 0;
    const char *fail = getenv("FAIL_AT");
    fail_at = fail ? atol(fail) : 0;
    fail_once = getenv("FAIL_ONCE") != NULL;
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

/* Whether the call has to fail. */
static int point(void) {
    if (armed_file && syscall(SYS_access, armed_file, F_OK)) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (call == kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    if (!fail_at || (fail_once ? call != fail_at : call < fail_at)) return 0;
    errno = EIO;
    return 1;
}

/* The same for a call on an open file: pipes, sockets and the log are no disk. */
static int point_at(int file) {
    struct stat found;
    if (file == 2 || fstat(file, &found) || !S_ISREG(found.st_mode)) return 0;
    return point();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int f, const void *b, size_t n) { return point_at(f) ? -1 : NEXT(write)(f, b, n); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t o) { return point() ? -1 : NEXT(pwrite64)(f, b, n, o); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { return point() ? -1 : NEXT(pwrite)(f, b, n, o); }
int fsync(int f) { return point() ? -1 : NEXT(fsync)(f); }
int fdatasync(int f) { return point() ? -1 : NEXT(fdatasync)(f); }
int sync_file_range(int f, off64_t o, off64_t n, unsigned w) { return point() ? -1 : NEXT(sync_file_range)(f, o, n, w); }
int rename(const char *a, const char *b) { return point() ? -1 : NEXT(rename)(a, b); }
int unlinkat(int f, const char *p, int flags) { return point() ? -1 : NEXT(unlinkat)(f, p, flags); }
int rmdir(const char *p) { return point() ? -1 : NEXT(rmdir)(p); }
int unlink(const char *p) { return point() ? -1 : NEXT(unlink)(p); }
int ftruncate64(int f, off64_t n) { return point() ? -1 : NEXT(ftruncate64)(f, n); }
int ftruncate(int f, off_t n) { return point() ? -1 : NEXT(ftruncate)(f, n); }
int mkdir(const char *p, mode_t m) { return point() ? -1 : NEXT(mkdir)(p, m); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && point()) return -1;
    return NEXT(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && point()) return -1;
    return NEXT(open)(path, flags, mode);
}
