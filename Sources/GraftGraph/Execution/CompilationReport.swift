/// What compiling came to, in numbers that can be printed.
public struct CompilationReport: Sendable, Equatable {
  /// Nodes that run, after what nobody needs was dropped.
  public let nodeCount: Int
  /// Tile programs: groups of fused operations.
  public let groupCount: Int
  /// Products, attentions and other kernels of their own.
  public let kernelCount: Int
  /// Bytes that the tile programs read and write in one run.
  public let bytesMoved: Int

  init(_ schedule: Schedule, live: [Bool]) {
    var (groups, kernels, bytes) = (0, 0, 0)
    for step in schedule.steps {
      switch step {
      case .tiles(let group):
        groups += 1
        bytes += group.bytesMoved
      case .kernel: kernels += 1
      case .copy: break
      }
    }
    nodeCount = live.count { $0 }
    groupCount = groups
    kernelCount = kernels
    bytesMoved = bytes
  }
}
