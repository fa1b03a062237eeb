#define _GNU_SOURCE
#include "CProcess.h"
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

// Two nets. The runtime makes objects, and so all arrays, strings and dictionaries, through a pointer that instruments may set:
// here it asks first whether the memory is there, so that the process ends in order. What asks by other ways, or in the moment
// between, aborts; the handler tells a want of memory from a defect by asking for some. Neither is there without a limit, where
// the system gives whatever is asked for.

typedef void *(*object_maker)(const void *type, size_t size, size_t alignment_mask);

enum {
  /// From here on malloc may map memory for one request alone, and a request that is given back changes what it does next.
  large = 64 << 10,
  /// Bytes beside a request: malloc asks for a MiB at least where its heap can't grow.
  besides = 2 << 20,
  /// An abort with less than this left is a want of memory.
  least = 64 << 20,
  reserved = 1 << 20,
  status = 5,
};

static object_maker usual;
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

static void say_so(void) {
  static const char text[] =
      "error: not enough memory\n"
      "  the address space is limited: ulimit -v\n"
      "  raise the limit, or ask for less memory\n";
  ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  (void)written;
}

static void end(void) {
  // Who comes second, from another thread or from the cleaning, adds nothing.
  if (!atomic_flag_test_and_set(&is_ending)) {
    say_so();
    munmap(reserve, reserved);
    clean();
  }
  _exit(status);
}

static void *make_object(const void *type, size_t size, size_t alignment_mask) {
  if (size >= large) {
    if (!has_room(size + besides)) end();
  } else {
    // The very next request of the size gets the same memory. Volatile, as compilers leave out what is given back unused.
    void *volatile room = malloc(size);
    if (!room) end();
    free(room);
  }
  return usual(type, size, alignment_mask);
}

static void handle(int number) {
  if (!has_room(least)) {
    // The thread may be anywhere, so nothing is cleaned; the next that writes there removes what is left.
    if (!atomic_flag_test_and_set(&is_ending)) say_so();
    _exit(status);
  }
  sigaction(number, &before[number], 0);
  raise(number);
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
  struct sigaction action = {.sa_handler = handle};
  const int numbers[] = {SIGABRT, SIGILL, SIGTRAP};
  for (int i = 0; i < 3; i++) sigaction(numbers[i], &action, &before[numbers[i]]);
  object_maker *maker = dlsym(RTLD_DEFAULT, "_swift_allocObject");
  if (!maker) return;
  usual = *maker;
  *maker = make_object;
}
