// The memory and the time that an input takes, for the promises about both.
#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>

// Begins to count the bytes that are allocated, less those that are freed.
void graft_heap_begin(void);

// The most that they were since then.
size_t graft_heap_peak(void);

// The processor time of this process.
double graft_cpu_seconds(void);

#endif
