#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// OpenBLAS starts threads while it is loaded, that nobody uses: each asks for 128 MiB until it gets them, and where one can't be
// made the library raises SIGINT. It reads its variable only then, so the program starts anew with it where threads or memory may
// be short. That has to be before any library's constructor, and the system's own setenv works only after them: it is done by
// hand, from the first functions that the loader calls.

enum { most_variables = 4096, few_threads = 1024 };

static int is_limited(int resource, rlim_t enough) {
  struct rlimit limit;
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur < enough;
}

/// Whether a file of the control groups has a number below.
static int is_limited_by_group(const char *file) {
  char text[24] = "";
  int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  ssize_t count = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  return count > 0 && text[0] >= '0' && text[0] <= '9' && atol(text) < few_threads;
}

static int is_scarce(void) {
  return is_limited(RLIMIT_AS, RLIM_INFINITY) || is_limited(RLIMIT_NPROC, few_threads)
      || is_limited_by_group("/sys/fs/cgroup/pids.max")
      || is_limited_by_group("/sys/fs/cgroup/pids/pids.max");
}

static void leave_out_threads(int count, char **arguments, char **variables) {
  static char setting[] = "OPENBLAS_NUM_THREADS=1";
  static char *changed[most_variables];
  (void)count;
  if (!is_scarce()) return;
  int given = 0;
  for (; variables[given]; given++) {
    if (given == most_variables - 2 || !strncmp(variables[given], setting, sizeof setting - 2)) return;
    changed[given] = variables[given];
  }
  changed[given] = setting;
  // It returns only where it fails, and then the work is done with the threads.
  execve("/proc/self/exe", arguments, changed);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **, char **) =
    leave_out_threads;
