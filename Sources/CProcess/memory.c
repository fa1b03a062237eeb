#define _GNU_SOURCE
#include "CProcess.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

// The runtime writes a line and aborts, and nothing can be asked before. A handler tells a want of memory from a defect by asking
// for some. It isn't there without a limit, where the system gives whatever is asked for. Without room for its line the runtime reads
// through null instead.
//
// The abort comes from inside an allocation that malloc has refused and left, so cleaning may allocate again, from what was held
// back for it. What stands in its way, such as a lock of the thread that aborted, aborts in turn or is waited for a moment only.

enum {
  /// An abort with less than this left is a want of memory.
  least = 64 << 20,
  reserved = 2 << 20,
  page = 4096,
  patience_in_seconds = 5,
  status = 5,
};

static void (*clean)(void);
static void *reserve;
static atomic_flag is_ending = ATOMIC_FLAG_INIT;
static struct sigaction before[NSIG];

static int has_room(size_t size) {
  void *room = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return 0;
  munmap(room, size);
  return 1;
}

/// Two lines, as one of the runtime's stands before them.
static void say_so(void) {
  static const char text[] =
      "error: not enough memory\n"
      "  the address space is limited (ulimit -v): raise the limit, or ask for less memory\n";
  ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  (void)written;
}

static void leave(int number) {
  (void)number;
  _exit(status);
}

static void handle(int number, siginfo_t *information, void *context) {
  (void)context;
  int is_elsewhere = number == SIGSEGV && (uintptr_t)information->si_addr >= page;
  // Who comes second, from another thread or from the cleaning, adds nothing.
  if (atomic_flag_test_and_set(&is_ending)) _exit(status);
  if (is_elsewhere || has_room(least)) {
    sigaction(number, &before[number], 0);
    raise(number);
    return;
  }
  say_so();
  signal(SIGALRM, leave);
  alarm(patience_in_seconds);
  munmap(reserve, reserved);
  clean();
  _exit(status);
}

void graft_watch_memory(void (*cleaning)(void)) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY) return;
  clean = cleaning;
  reserve = mmap(0, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserve == MAP_FAILED) {
    say_so();
    _exit(status);
  }
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int numbers[] = {SIGABRT, SIGILL, SIGTRAP, SIGSEGV};
  for (int i = 0; i < 4; i++) sigaction(numbers[i], &action, &before[numbers[i]]);
}
