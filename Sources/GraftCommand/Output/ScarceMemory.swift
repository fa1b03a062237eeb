import CProcess
import GraftCore

/// A want of memory that nothing can be told: Swift's own containers abort where they get none.
enum ScarceMemory {
  /// Makes it an error with its status, after which nothing half-written is left, where the address space is limited.
  static func watch() {
    graft_watch_memory { UnfinishedOutputs.removeAll() }
  }
}
