#pragma once

/// Exchanges two paths in one step (Linux renameat2 with RENAME_EXCHANGE).
///
/// A shim because Glibc's Swift overlay lacks the function: it hides behind _GNU_SOURCE.
/// Returns 0, or -1 with errno set.
int graft_exchange_paths(const char *first, const char *second);

/// Copies up to `count` bytes between two files inside the kernel (Linux copy_file_range).
///
/// Same reason. Returns the bytes copied, 0 at the end of `source`, or -1 with errno set.
long graft_copy_file_range(int source, long source_offset, int target, long target_offset, unsigned long count);

/// Has the system begin to write a range of a file to the disk (Linux sync_file_range); nothing is waited for, no error told.
void graft_start_writeback(int file, long offset, long count);

/// Opens a file without a name in a directory (Linux O_TMPFILE), for this user alone to read and write.
///
/// Same reason. Returns a descriptor, or -1 with errno set: EOPNOTSUPP where the file system has no such files.
int graft_open_nameless(const char *folder);

/// Gives the pages that malloc holds free back to the system (glibc's malloc_trim). <malloc.h> isn't in the overlay.
void graft_release_free_memory(void);

/// Has malloc give back what is freed of 128 KiB or more at once, and serve all threads from one heap.
///
/// Otherwise what it keeps depends on which thread asked when.
void graft_return_freed_memory(void);
