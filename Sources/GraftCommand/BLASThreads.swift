import Foundation

/// The threads that OpenBLAS starts when it is loaded, and that nobody uses: each asks for 128 MiB until it gets them.
enum BLASThreads {
  private static let variable = "OPENBLAS_NUM_THREADS"

  /// Starts the program anew without them where the system limits its address space; the library reads its variable only
  /// while it is loaded.
  static func leaveOut() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
      limit.rlim_cur != rlim_t.max, unsafe getenv(variable) == nil,
      let program = unsafe realpath("/proc/self/exe", nil)
    else { return }
    unsafe setenv(variable, "1", 1)
    // It returns only where it fails, and then the work is done with the threads.
    unsafe execv(program, CommandLine.unsafeArgv)
  }
}
