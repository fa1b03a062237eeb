#pragma once

/// Has a want of memory end the process with status 5 and no trace, where its address space is limited.
///
/// Swift's own containers can't say that they get none: the runtime aborts for them. `clean` removes what is half-written.
void graft_watch_memory(void (*clean)(void));
