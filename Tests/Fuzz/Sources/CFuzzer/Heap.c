#include "CFuzzer.h"

#include <sanitizer/allocator_interface.h>
#include <stdatomic.h>
#include <time.h>

static atomic_long held, most;
static atomic_int isHooked;

static void allocated(const volatile void *address, size_t size) {
  (void)address;
  long now = atomic_fetch_add_explicit(&held, (long)size, memory_order_relaxed) + (long)size;
  long peak = atomic_load_explicit(&most, memory_order_relaxed);
  while (now > peak && !atomic_compare_exchange_weak_explicit(&most, &peak, now, memory_order_relaxed, memory_order_relaxed)) {
  }
}

static void freed(const volatile void *address) {
  if (!address) return;
  long size = (long)__sanitizer_get_allocated_size((const void *)address);
  atomic_fetch_sub_explicit(&held, size, memory_order_relaxed);
}

void graft_heap_begin(void) {
  if (!atomic_exchange(&isHooked, 1)) __sanitizer_install_malloc_and_free_hooks(allocated, freed);
  atomic_store(&held, 0);
  atomic_store(&most, 0);
}

size_t graft_heap_peak(void) { return (size_t)atomic_load(&most); }

double graft_cpu_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}
