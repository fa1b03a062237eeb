#define _GNU_SOURCE
#include "CSystem.h"

#include <fcntl.h>
#include <stdio.h>
#include <malloc.h>
#include <unistd.h>

int graft_exchange_paths(const char *first, const char *second) {
  return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}

long graft_copy_file_range(
    int source, long source_offset, int target, long target_offset, unsigned long count) {
  off_t from = source_offset, to = target_offset;
  return copy_file_range(source, &from, target, &to, count, 0);
}

void graft_start_writeback(int file, long offset, long count) {
  (void)sync_file_range(file, offset, count, SYNC_FILE_RANGE_WRITE);
}

int graft_open_nameless(const char *folder) {
  return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

void graft_release_free_memory(void) { malloc_trim(0); }

void graft_return_freed_memory(void) {
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  mallopt(M_ARENA_MAX, 1);
}
