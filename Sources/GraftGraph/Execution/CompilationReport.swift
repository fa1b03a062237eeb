/// What compiling came to, in numbers that can be printed.
public struct CompilationReport: Sendable, Equatable {
  /// Nodes that run, after what nobody needs was dropped.
  public let nodeCount: Int
  /// Tile programs: groups of fused operations.
  public let groupCount: Int
  /// Products, attentions and other kernels of their own.
  public let kernelCount: Int
  /// Chains: tile programs and products that run together by tiles of rows.
  public let chainCount: Int
  /// Bytes that the tile programs read from memory and write to it in one run; what stays inside a chain isn't counted.
  public let bytesMoved: Int

  init(_ graph: Graph, _ schedule: Schedule, live: [Bool]) {
    var (groups, kernels, chains, bytes) = (0, 0, 0, 0)
    for step in schedule.steps {
      switch step {
      case .tiles(let group):
        groups += 1
        bytes += group.bytesMoved
      case .kernel, .siblings: kernels += step.kernels.count
      case .chain(let chain):
        chains += 1
        bytes += chain.bytesMoved(in: graph)
        for member in chain.members {
          if case .tiles = member { groups += 1 } else { kernels += member.kernels.count }
        }
      case .copy: break
      }
    }
    nodeCount = live.count { $0 }
    groupCount = groups
    kernelCount = kernels
    chainCount = chains
    bytesMoved = bytes
  }
}
