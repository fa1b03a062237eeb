// Preloaded into a process, stands between it and the system calls that touch files, and makes one of them fail, fall short, or be the last.
//
// A test says by environment variables what is to happen:
//   GRAFT_FAULTS_ROOT    the directory whose files count; calls elsewhere pass, and changes elsewhere are reported
//   GRAFT_FAULTS_REPORT  a file of the size of `struct graft_fault_report`, all zero
//   GRAFT_FAULTS_PLAN    what happens, if anything: WHAT AT [NUMBER]
//                          error AT ERRNO: the call with the number AT (from 1) fails
//                          sticky AT ERRNO: from it on every call fails that changes something, as on a disk that became read-only
//                          short AT: it transfers half
//                          full AT: it transfers half, and all later ones that need room fail with ENOSPC
//                          cut AT: the file that it reads loses its second half first
//                          kill AT: the process is killed before it
//                          outage AT: the file system of the root goes down before it, with all that it hasn't written, and the process
//                            with it; at the process's end where it makes no such call
//                          memory AT SIZE: of its requests for so many bytes of memory or more this one isn't granted
//   GRAFT_FAULTS_TRACE   a file that every change is written to, with its bytes, in the order in which they happened
//
// The calls of libc by which the program and its libraries reach the kernel are replaced; they make the system call themselves.

#define _GNU_SOURCE
#include "FaultInjection.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { descriptors = 1 << 16 };

/// What a call is: the letters of `kinds` in the report.
enum {
  opens = 'o',        // for reading
  creates = 'C',      // or opens for writing
  reads = 'r',
  writes = 'W',
  copies = 'Y',
  allocates = 'A',
  resizes = 'T',
  synchronizes = 'S',
  renames = 'N',
  makes = 'M',        // a directory
  unlinks = 'U',
  lists = 'l',        // a directory
  follows = 'f',      // reads a symbolic link
  permits = 'P',      // changes a mode or a group
};

static enum { nothing, error, sticky, shortened, full, cut, killed, outage, memory } plan;
static unsigned long at;
static int code;  // or the size
static struct graft_fault_report *report;
static pid_t owner;
static int trace = -1;
static char root[PATH_MAX];
static size_t root_length;
/// Whether a descriptor is of a file below the root; of one without a name, of which the trace tells nothing.
static unsigned char tracked[descriptors];
enum { named = 1, nameless = 2 };
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
  const char *place = getenv("GRAFT_FAULTS_ROOT"), *file = getenv("GRAFT_FAULTS_REPORT");
  if (!place || !file || strlen(place) >= sizeof root) return;
  int descriptor = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
  if (descriptor < 0) return;
  struct graft_fault_report *map = mmap(
      NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  syscall(SYS_close, descriptor);
  // A program that the watched one starts finds its report taken; one that takes its place goes on.
  if (map == MAP_FAILED || (map->process != 0 && map->process != (uint32_t)getpid())) return;
  strcpy(root, place);
  root_length = strlen(root);
  char what[16] = "";
  const char *order = getenv("GRAFT_FAULTS_PLAN");
  if (order && sscanf(order, "%15s %lu %d", what, &at, &code) >= 2) {
    plan = !strcmp(what, "error") ? error : !strcmp(what, "sticky") ? sticky
        : !strcmp(what, "short") ? shortened : !strcmp(what, "full") ? full
        : !strcmp(what, "cut") ? cut : !strcmp(what, "kill") ? killed
        : !strcmp(what, "outage") ? outage : !strcmp(what, "memory") ? memory : nothing;
  }
  const char *log = getenv("GRAFT_FAULTS_TRACE");
  if (log) {
    int number = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    trace = fcntl(number, F_DUPFD_CLOEXEC, 1000);
    syscall(SYS_close, number);
  }
  owner = map->process = getpid();
  report = map;
}

/// Takes the file system of the root down, and forgets even its journal: what ext4 and XFS have for tests like this one.
static void shut_down(void) {
  uint32_t forgetting = 2;
  int folder = syscall(SYS_openat, AT_FDCWD, root, O_RDONLY | O_CLOEXEC, 0);
  if (ioctl(folder, _IOR('X', 125, uint32_t), &forgetting) == 0) report->failed++;
  syscall(SYS_close, folder);
}

/// Notes the largest resident size.
__attribute__((destructor)) static void end(void) {
  if (!report || getpid() != owner) return;
  if (plan == outage && report->calls < at) shut_down();
  char text[8192];
  int file = syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
  long count = syscall(SYS_read, file, text, sizeof text - 1);
  syscall(SYS_close, file);
  if (count <= 0) return;
  text[count] = 0;
  const char *line = strstr(text, "VmHWM:");
  if (line) report->peak = strtoull(line + 6, NULL, 10) * 1024;
}

void _exit(int status) {
  end();
  syscall(SYS_exit_group, status);
  __builtin_unreachable();
}

// MARK: - What counts

static int watches(void) { return report && getpid() == owner; }

/// A path from the root directory on; the buffer has room for PATH_MAX bytes.
static const char *absolute(const char *path, char *buffer) {
  if (path[0] == '/' || syscall(SYS_getcwd, buffer, PATH_MAX) < 0) return path;
  size_t count = strlen(buffer);
  snprintf(buffer + count, PATH_MAX - count, "/%s", path);
  return buffer;
}

static int is_inside(const char *relative) {
  char buffer[PATH_MAX];
  const char *path = absolute(relative, buffer);
  if (strstr(path, "/../")) return 0;
  return strncmp(path, root, root_length) == 0
      && (path[root_length] == 0 || path[root_length] == '/');
}

static int is_tracked(int descriptor) {
  return descriptor >= 0 && descriptor < descriptors && tracked[descriptor];
}

/// Reports a change outside the root, unless it goes to a device.
static void report_outside(const char *path) {
  if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0) return;
  if (report->outside++ == 0) snprintf(report->outside_path, sizeof report->outside_path, "%s", path);
}

static int needs_room(char kind) { return strchr("CWYAMT", kind) != NULL; }
static int changes(char kind) { return strchr("CWYATSNMUP", kind) != NULL; }

enum { pass, fail, halve };

/// Counts a call and says what becomes of it; the gate is held.
static int judge(char kind) {
  unsigned long number = ++report->calls;
  if (number <= sizeof report->kinds) report->kinds[number - 1] = kind;
  if (plan == nothing || number < at) return pass;
  int transfers = kind == writes || kind == copies || kind == reads;
  switch (plan) {
  case error:
    if (number != at) return pass;
    break;
  case sticky:
    if (!changes(kind)) return pass;
    break;
  case shortened:
    if (number != at || !transfers) return pass;
    report->failed++;
    return halve;
  case full:
    if (!needs_room(kind)) return pass;
    code = ENOSPC;
    if (number == at && transfers) {
      report->failed++;
      return halve;
    }
    break;
  case cut: return pass;
  case killed:
    if (number == at) {
      report->failed++;
      syscall(SYS_kill, getpid(), SIGKILL);
    }
    return pass;
  case outage:
    if (number == at) {
      shut_down();
      syscall(SYS_kill, getpid(), SIGKILL);
    }
    return pass;
  default: return pass;
  }
  report->failed++;
  errno = code;
  return fail;
}

// MARK: - The trace

static void put(const void *bytes, size_t count) {
  const char *next = bytes;
  while (count > 0) {
    long done = syscall(SYS_write, trace, next, count);
    if (done <= 0) return;
    next += done;
    count -= done;
  }
}

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...) {
  if (trace < 0) return;
  char line[2 * PATH_MAX + 64];
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  put(line, count);
}

/// Whether the trace has a file.
static int is_traced(int descriptor) { return trace >= 0 && tracked[descriptor] == named; }

static unsigned long inode(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

static long length(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? status.st_size : 0;
}

static void note_data(int descriptor, off_t offset, long count) {
  if (!is_traced(descriptor) || count <= 0) return;
  char *bytes = malloc(count);
  // From the file itself, as a copy inside the kernel shows no bytes; where it can't be read the caller has them.
  if (bytes && syscall(SYS_pread64, descriptor, bytes, count, offset) == count) {
    note("write %lu %ld %ld\n", inode(descriptor), (long)offset, count);
    put(bytes, count);
  }
  free(bytes);
}

static void note_bytes(int descriptor, const void *bytes, off_t offset, long count) {
  if (!is_traced(descriptor) || count <= 0) return;
  note("write %lu %ld %ld\n", inode(descriptor), (long)offset, count);
  put(bytes, count);
}

// MARK: - Opening

static int open_file(const char *path, int flags, mode_t mode) {
  int isChange = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
  if (!watches()) return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (!is_inside(path)) {
    if (isChange) report_outside(path);
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  }
  pthread_mutex_lock(&gate);
  int result = -1;
  if (judge(isChange ? creates : opens) == pass) {
    struct stat status;
    int is_new = (flags & O_CREAT) && lstat(path, &status) != 0;
    result = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int kept = errno;
    if (result >= 0 && result < descriptors)
      tracked[result] = (flags & O_TMPFILE) == O_TMPFILE ? nameless : named;
    char buffer[PATH_MAX];
    if (result >= 0 && is_new) note("create %lu %s\n", inode(result), absolute(path, buffer));
    if (result >= 0 && (flags & O_TRUNC)) note("resize %lu 0\n", inode(result));
    errno = kept;
  }
  pthread_mutex_unlock(&gate);
  return result;
}

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    mode_t mode = 0;                                      \
    if (flags & (O_CREAT | O_TMPFILE)) {                  \
      va_list arguments;                                  \
      va_start(arguments, flags);                         \
      mode = va_arg(arguments, mode_t);                   \
      va_end(arguments);                                  \
    }                                                     \
    return open_file(path, flags, mode);                  \
  }
OPEN(open)
OPEN(open64)

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < descriptors) tracked[descriptor] = 0;
  return syscall(SYS_close, descriptor);
}

DIR *opendir(const char *path) {
  static DIR *(*actual)(const char *);
  if (!actual) actual = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
  if (!watches() || !is_inside(path)) return actual(path);
  pthread_mutex_lock(&gate);
  DIR *result = judge(lists) == pass ? actual(path) : NULL;
  pthread_mutex_unlock(&gate);
  return result;
}

// MARK: - Reading

/// Takes the second half of an open file away.
static void shorten(int descriptor) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (file >= 0 && syscall(SYS_ftruncate, file, length(descriptor) / 2) == 0) report->failed++;
  if (file >= 0) syscall(SYS_close, file);
}

static ssize_t read_file(int descriptor, void *bytes, size_t count, off_t offset, int isAt) {
  if (watches() && is_tracked(descriptor)) {
    pthread_mutex_lock(&gate);
    int verdict = judge(reads);
    if (plan == cut && report->calls == at) shorten(descriptor);
    pthread_mutex_unlock(&gate);
    if (verdict == fail) return -1;
    if (verdict == halve && count > 1) count /= 2;
  }
  return isAt ? syscall(SYS_pread64, descriptor, bytes, count, offset)
              : syscall(SYS_read, descriptor, bytes, count);
}

ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
  return read_file(descriptor, bytes, count, offset, 1);
}
ssize_t pread64(int descriptor, void *bytes, size_t count, off_t offset) {
  return read_file(descriptor, bytes, count, offset, 1);
}
ssize_t read(int descriptor, void *bytes, size_t count) {
  return read_file(descriptor, bytes, count, 0, 0);
}

// MARK: - Writing

static ssize_t write_file(
    int descriptor, const void *bytes, size_t count, off_t offset, int isAt) {
  if (!watches() || !is_tracked(descriptor))
    return isAt ? syscall(SYS_pwrite64, descriptor, bytes, count, offset)
                : syscall(SYS_write, descriptor, bytes, count);
  pthread_mutex_lock(&gate);
  int verdict = judge(writes);
  ssize_t result = -1;
  if (verdict != fail) {
    if (verdict == halve && count > 1) count /= 2;
    if (!isAt)
      offset = (fcntl(descriptor, F_GETFL) & O_APPEND)
          ? length(descriptor) : (off_t)syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
    result = isAt ? syscall(SYS_pwrite64, descriptor, bytes, count, offset)
                  : syscall(SYS_write, descriptor, bytes, count);
    int kept = errno;
    note_bytes(descriptor, bytes, offset, result);
    errno = kept;
  }
  pthread_mutex_unlock(&gate);
  return result;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  return write_file(descriptor, bytes, count, offset, 1);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
  return write_file(descriptor, bytes, count, offset, 1);
}
ssize_t write(int descriptor, const void *bytes, size_t count) {
  return write_file(descriptor, bytes, count, 0, 0);
}

ssize_t copy_file_range(
    int source, off64_t *from, int target, off64_t *to, size_t count, unsigned flags) {
  if (!watches() || !is_tracked(target))
    return syscall(SYS_copy_file_range, source, from, target, to, count, flags);
  pthread_mutex_lock(&gate);
  int verdict = judge(copies);
  ssize_t result = -1;
  if (verdict != fail) {
    if (verdict == halve && count > 1) count /= 2;
    off_t place = to ? *to : (off_t)syscall(SYS_lseek, target, 0, SEEK_CUR);
    result = syscall(SYS_copy_file_range, source, from, target, to, count, flags);
    int kept = errno;
    note_data(target, place, result);
    errno = kept;
  }
  pthread_mutex_unlock(&gate);
  return result;
}

int posix_fallocate(int descriptor, off_t offset, off_t count) {
  int counts = watches() && is_tracked(descriptor);
  if (counts) pthread_mutex_lock(&gate);
  int result = 0;
  if (counts && judge(allocates) != pass) {
    result = errno;
  } else if (syscall(SYS_fallocate, descriptor, 0, offset, count) != 0) {
    result = errno;
  } else if (counts && is_traced(descriptor)) {
    note("resize %lu %ld\n", inode(descriptor), length(descriptor));
  }
  if (counts) pthread_mutex_unlock(&gate);
  return result;
}
int posix_fallocate64(int descriptor, off64_t offset, off64_t count) {
  return posix_fallocate(descriptor, offset, count);
}

int ftruncate(int descriptor, off_t count) {
  if (!watches() || !is_tracked(descriptor)) return syscall(SYS_ftruncate, descriptor, count);
  pthread_mutex_lock(&gate);
  int result = -1;
  if (judge(resizes) == pass) {
    result = syscall(SYS_ftruncate, descriptor, count);
    if (result == 0 && is_traced(descriptor))
      note("resize %lu %ld\n", inode(descriptor), (long)count);
  }
  pthread_mutex_unlock(&gate);
  return result;
}
int ftruncate64(int descriptor, off64_t count) { return ftruncate(descriptor, count); }

static int synchronize(long call, int descriptor) {
  if (!watches() || !is_tracked(descriptor)) return syscall(call, descriptor);
  pthread_mutex_lock(&gate);
  int result = -1;
  if (judge(synchronizes) == pass) {
    result = syscall(call, descriptor);
    if (result == 0 && is_traced(descriptor)) note("sync %lu\n", inode(descriptor));
  }
  pthread_mutex_unlock(&gate);
  return result;
}
int fsync(int descriptor) { return synchronize(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return synchronize(SYS_fdatasync, descriptor); }

// MARK: - Names

/// Runs a change of names: counted, and noted where it succeeds.
#define CHANGE(kind, inside, outside, call, ...)  \
  do {                                            \
    if (!watches()) return call;                  \
    if (!(inside)) {                              \
      report_outside(outside);                    \
      return call;                                \
    }                                             \
    pthread_mutex_lock(&gate);                    \
    char first[PATH_MAX], second[PATH_MAX];       \
    (void)second;                                 \
    int result = -1;                              \
    if (judge(kind) == pass) {                    \
      result = call;                              \
      int kept = errno;                           \
      if (result == 0) note(__VA_ARGS__);         \
      errno = kept;                               \
    }                                             \
    pthread_mutex_unlock(&gate);                  \
    return result;                                \
  } while (0)

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  CHANGE(
      renames, is_inside(from) && is_inside(to), to,
      syscall(SYS_renameat2, from_folder, from, to_folder, to, flags), "%s %s\t%s\n",
      flags & RENAME_EXCHANGE ? "exchange" : "rename", absolute(from, first), absolute(to, second));
}
int rename(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}

static unsigned long inode_at(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 ? status.st_ino : 0;
}

int mkdir(const char *path, mode_t mode) {
  CHANGE(
      makes, is_inside(path), path, syscall(SYS_mkdirat, AT_FDCWD, path, mode), "mkdir %lu %s\n",
      inode_at(path), absolute(path, first));
}

int unlink(const char *path) {
  CHANGE(
      unlinks, is_inside(path), path, syscall(SYS_unlinkat, AT_FDCWD, path, 0), "remove %s\n",
      absolute(path, first));
}

int rmdir(const char *path) {
  CHANGE(
      unlinks, is_inside(path), path, syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR),
      "remove %s\n", absolute(path, first));
}

ssize_t readlink(const char *path, char *buffer, size_t count) {
  if (!watches() || !is_inside(path))
    return syscall(SYS_readlinkat, AT_FDCWD, path, buffer, count);
  pthread_mutex_lock(&gate);
  ssize_t result = -1;
  if (judge(follows) == pass) result = syscall(SYS_readlinkat, AT_FDCWD, path, buffer, count);
  pthread_mutex_unlock(&gate);
  return result;
}

// MARK: - Permissions

/// Runs a change of permissions: counted; the trace, which is of names and bytes, has nothing of it.
#define PERMIT(inside, call)                         \
  do {                                               \
    if (!watches() || !(inside)) return call;        \
    pthread_mutex_lock(&gate);                       \
    int result = judge(permits) == pass ? call : -1; \
    pthread_mutex_unlock(&gate);                     \
    return result;                                   \
  } while (0)

int fchmod(int descriptor, mode_t mode) {
  PERMIT(is_tracked(descriptor), syscall(SYS_fchmod, descriptor, mode));
}

int fchown(int descriptor, uid_t user, gid_t group) {
  PERMIT(is_tracked(descriptor), syscall(SYS_fchown, descriptor, user, group));
}

int chmod(const char *path, mode_t mode) {
  if (watches() && !is_inside(path)) report_outside(path);
  PERMIT(is_inside(path), syscall(SYS_fchmodat, AT_FDCWD, path, mode));
}

// MARK: - Memory

static int is_denied(size_t count) {
  static unsigned long requests;
  if (plan != memory || count < (size_t)code || !watches()) return 0;
  if (__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED) != at) return 0;
  report->failed++;
  errno = ENOMEM;
  return 1;
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

void *malloc(size_t count) { return is_denied(count) ? NULL : __libc_malloc(count); }
void *calloc(size_t count, size_t size) {
  return is_denied(count * size) ? NULL : __libc_calloc(count, size);
}
void *realloc(void *old, size_t count) { return is_denied(count) ? NULL : __libc_realloc(old, count); }
void *aligned_alloc(size_t alignment, size_t count) {
  return is_denied(count) ? NULL : __libc_memalign(alignment, count);
}
int posix_memalign(void **result, size_t alignment, size_t count) {
  void *found = aligned_alloc(alignment, count);
  if (!found) return ENOMEM;
  *result = found;
  return 0;
}

void *mmap(void *place, size_t count, int protection, int flags, int descriptor, off_t offset) {
  // Addresses without memory don't count: libc takes them for the allocations of a thread, if one lives long enough to make any.
  int asks = (flags & MAP_ANONYMOUS) && protection != PROT_NONE;
  if (asks && is_denied(count)) return MAP_FAILED;
  return (void *)syscall(SYS_mmap, place, count, protection, flags, descriptor, offset);
}
void *mmap64(void *place, size_t count, int protection, int flags, int descriptor, off64_t offset) {
  return mmap(place, count, protection, flags, descriptor, offset);
}
