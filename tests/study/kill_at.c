/* Preloaded into a process: kills it with SIGKILL at the n-th write, sync, rename, link or unlink
   under one directory, whichever library makes the call. With `tear`, half of a write is done. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char watched[PATH_MAX];
static long kill_at = -1, seen = 0;
static int tear = 0;

void watch(const char *directory, long at, int torn) {
  strncpy(watched, directory, sizeof watched - 1);
  kill_at = at;
  tear = torn;
  seen = 0;
}

long events(void) { return seen; }

static int is_watched(const char *path) {
  return watched[0] && path && strncmp(path, watched, strlen(watched)) == 0;
}

static int is_watched_fd(int fd) {
  char link[64], path[PATH_MAX];
  if (!watched[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_watched(path);
}

static int is_time(void) { return __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) == kill_at; }

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITE(name, offset_type)                                                    \
  ssize_t name(int fd, const void *bytes, size_t count, offset_type offset) {       \
    if (is_watched_fd(fd) && is_time()) {                                           \
      if (tear) REAL(name)(fd, bytes, count / 2, offset);                           \
      die();                                                                        \
    }                                                                               \
    return REAL(name)(fd, bytes, count, offset);                                    \
  }

WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t count) {
  if (is_watched_fd(fd) && is_time()) {
    if (tear) REAL(write)(fd, bytes, count / 2);
    die();
  }
  return REAL(write)(fd, bytes, count);
}

#define ON_FD(name)                                  \
  int name(int fd) {                                 \
    if (is_watched_fd(fd) && is_time()) die();       \
    return REAL(name)(fd);                           \
  }

ON_FD(fsync)
ON_FD(fdatasync)

#define ON_PATHS(name)                               \
  int name(const char *from, const char *to) {       \
    if (is_watched(from) && is_time()) die();        \
    return REAL(name)(from, to);                     \
  }

ON_PATHS(rename)
ON_PATHS(link)

int unlink(const char *path) {
  if (is_watched(path) && is_time()) die();
  return REAL(unlink)(path);
}
