#pragma once

#include <stdint.h>

/// What a process that ran under the injection tells, in the file that GRAFT_FAULTS_REPORT names.
///
/// The file is mapped, so that it is right after the process was killed.
struct graft_fault_report {
  /// The process that was watched; children of it aren't.
  uint32_t process;
  /// The calls that were counted.
  uint32_t calls;
  /// The calls that failed by order.
  uint32_t failed;
  /// The calls that would have changed something outside the root.
  uint32_t outside;
  /// The largest resident size at the end, in bytes; 0 where the process was killed.
  uint64_t peak;
  /// The path of the first call outside.
  char outside_path[1000];
  /// What each call was, by the letters of injection.c.
  char kinds[64512];
};
