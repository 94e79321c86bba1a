/* A file system that refuses: preloaded, it answers some calls of libc as exFAT, SMB, NFS, FUSE or 9p do.
 *
 * REFUSED=EPERM's number: calls that only some file systems know fail so: modes, times, links, locks, shared maps, fsync.
 * UNREADABLE=NUMBER:TEXT: reading a file whose path holds TEXT fails so. Both are looked up at every call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

static int refused(void) {
    const char *number = getenv("REFUSED");
    if (!number || !*number) return 0;
    errno = atoi(number);
    return -1;
}

#define REFUSE(name, declared) int name declared { if (refused()) return -1; errno = ENOSYS; return -1; }
REFUSE(chmod, (const char *path, mode_t mode))
REFUSE(fchmod, (int file, mode_t mode))
REFUSE(fchmodat, (int folder, const char *path, mode_t mode, int flags))
REFUSE(utime, (const char *path, const struct utimbuf *times))
REFUSE(utimes, (const char *path, const struct timeval times[2]))
REFUSE(futimens, (int file, const struct timespec times[2]))
REFUSE(utimensat, (int folder, const char *path, const struct timespec times[2], int flags))
REFUSE(link, (const char *from, const char *to))
REFUSE(linkat, (int a, const char *from, int b, const char *to, int flags))
REFUSE(symlink, (const char *to, const char *path))
REFUSE(symlinkat, (const char *to, int folder, const char *path))
REFUSE(fsync, (int file))
REFUSE(fdatasync, (int file))
REFUSE(flock, (int file, int operation))

static int unreadable(int file) {
    const char *rule = getenv("UNREADABLE");
    char name[64], path[4096];
    if (!rule || !*rule) return 0;
    const char *text = strchr(rule, ':');
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0 || !text) return 0;
    path[length] = 0;
    if (!strstr(path, text + 1)) return 0;
    errno = atoi(rule);
    return 1;
}

#define READING(name, declared, given) \
    ssize_t name declared { \
        static ssize_t (*real) declared; \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return unreadable(file) ? -1 : real given; \
    }
READING(read, (int file, void *to, size_t size), (file, to, size))
READING(pread, (int file, void *to, size_t size, off_t at), (file, to, size, at))
READING(pread64, (int file, void *to, size_t size, off64_t at), (file, to, size, at))

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "mmap");
    if (file >= 0 && (flags & MAP_SHARED) && refused()) return MAP_FAILED;
    return real(at, size, protection, flags, file, offset);
}

/* Names cannot be moved between folders: each is a disk of its own. */
static int elsewhere(const char *from, const char *to) {
    const char *a = strrchr(from, '/'), *b = strrchr(to, '/');
    size_t one = a ? a - from : 0, other = b ? b - to : 0;
    if (!getenv("REFUSED") || (one == other && !strncmp(from, to, one))) return 0;
    errno = EXDEV;
    return -1;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "rename");
    return elsewhere(from, to) ? -1 : real(from, to);
}
