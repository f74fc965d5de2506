/* A slow or hung disk, for LD_PRELOAD: every call about a path below SLOW_DIRECTORY, or about a file that was opened
   there, takes SLOW_SECONDS longer. Each delay is noted as a line in SLOW_LOG, so that a test knows that there was one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char slow_files[4096];

#define REAL(type, name, ...)                                                                                          \
  static type (*real)(__VA_ARGS__);                                                                                    \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void delay(const char *call) {
  const char *seconds = getenv("SLOW_SECONDS"), *log = getenv("SLOW_LOG");
  int saved = errno;
  if (log) {
    /* The call of the library itself would come here again. */
    REAL(int, "open", const char *, int, ...);
    int file = real(log, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file >= 0) {
      if (write(file, call, strlen(call)) < 0 || write(file, "\n", 1) < 0) errno = saved;
      close(file);
    }
  }
  double left = seconds ? atof(seconds) : 5;
  struct timespec time = {(time_t)left, (long)((left - (time_t)left) * 1e9)};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
  errno = saved;
}

static int is_slow(int at, const char *path) {
  const char *slow = getenv("SLOW_DIRECTORY");
  char folder[PATH_MAX], link[64];
  if (!slow || !path) return 0;
  if (path[0] == '/') return strncmp(path, slow, strlen(slow)) == 0;
  if (at == AT_FDCWD) return getcwd(folder, sizeof folder) && strncmp(folder, slow, strlen(slow)) == 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", at);
  ssize_t length = readlink(link, folder, sizeof folder - 1);
  if (length < 0) return 0;
  folder[length] = 0;
  return strncmp(folder, slow, strlen(slow)) == 0;
}

static void about_path(const char *call, int at, const char *path) {
  if (is_slow(at, path)) delay(call);
}

static void about_file(const char *call, int file) {
  if (file >= 0 && file < (int)sizeof slow_files && slow_files[file]) delay(call);
}

static int opened(int file, int at, const char *path) {
  if (file >= 0 && file < (int)sizeof slow_files) slow_files[file] = is_slow(at, path);
  return file;
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    REAL(int, #name, const char *, int, ...);                                                                          \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = va_arg(rest, mode_t);                                                                                \
    va_end(rest);                                                                                                      \
    about_path(#name, AT_FDCWD, path);                                                                                 \
    return opened(real(path, flags, mode), AT_FDCWD, path);                                                            \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
  int name(int at, const char *path, int flags, ...) {                                                                 \
    REAL(int, #name, int, const char *, int, ...);                                                                     \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = va_arg(rest, mode_t);                                                                                \
    va_end(rest);                                                                                                      \
    about_path(#name, at, path);                                                                                       \
    return opened(real(at, path, flags, mode), at, path);                                                              \
  }
OPENAT(openat)
OPENAT(openat64)

#define WITH_PATH(type, name, parameters, path, at, types, arguments)                                                  \
  type name parameters {                                                                                               \
    static type(*real) types;                                                                                          \
    if (!real) real = (type(*) types)dlsym(RTLD_NEXT, #name);                                                          \
    about_path(#name, at, path);                                                                                       \
    return real arguments;                                                                                             \
  }
#define STAT(name, kind)                                                                                               \
  WITH_PATH(int, name, (const char *path, struct kind *told), path, AT_FDCWD, (const char *, struct kind *),           \
            (path, told))
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)
WITH_PATH(int, fstatat, (int at, const char *path, struct stat *told, int flags), path, at,
          (int, const char *, struct stat *, int), (at, path, told, flags))
WITH_PATH(int, fstatat64, (int at, const char *path, struct stat64 *told, int flags), path, at,
          (int, const char *, struct stat64 *, int), (at, path, told, flags))
WITH_PATH(int, statx, (int at, const char *path, int flags, unsigned mask, struct statx *told), path, at,
          (int, const char *, int, unsigned, struct statx *), (at, path, flags, mask, told))
WITH_PATH(int, access, (const char *path, int mode), path, AT_FDCWD, (const char *, int), (path, mode))
WITH_PATH(int, faccessat, (int at, const char *path, int mode, int flags), path, at, (int, const char *, int, int),
          (at, path, mode, flags))
WITH_PATH(int, mkdir, (const char *path, mode_t mode), path, AT_FDCWD, (const char *, mode_t), (path, mode))
WITH_PATH(int, unlink, (const char *path), path, AT_FDCWD, (const char *), (path))
WITH_PATH(int, rename, (const char *from, const char *to), to, AT_FDCWD, (const char *, const char *), (from, to))
WITH_PATH(int, link, (const char *from, const char *to), to, AT_FDCWD, (const char *, const char *), (from, to))
WITH_PATH(DIR *, opendir, (const char *path), path, AT_FDCWD, (const char *), (path))
WITH_PATH(ssize_t, readlink, (const char *path, char *text, size_t size), path, AT_FDCWD,
          (const char *, char *, size_t), (path, text, size))

#define WITH_FILE(type, name, parameters, file, types, arguments)                                                      \
  type name parameters {                                                                                               \
    static type(*real) types;                                                                                          \
    if (!real) real = (type(*) types)dlsym(RTLD_NEXT, #name);                                                          \
    about_file(#name, file);                                                                                           \
    return real arguments;                                                                                             \
  }
WITH_FILE(ssize_t, read, (int file, void *data, size_t size), file, (int, void *, size_t), (file, data, size))
WITH_FILE(ssize_t, write, (int file, const void *data, size_t size), file, (int, const void *, size_t),
          (file, data, size))
WITH_FILE(int, fsync, (int file), file, (int), (file))

int close(int file) {
  REAL(int, "close", int);
  about_file("close", file);
  if (file >= 0 && file < (int)sizeof slow_files) slow_files[file] = 0;
  return real(file);
}
