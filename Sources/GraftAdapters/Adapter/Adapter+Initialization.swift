public import GraftCore

extension Adapter {
  /// A fresh adapter that changes nothing yet: A uniform in ±1/√in, B zero, as PEFT starts.
  ///
  /// Every module has a random stream of its own, numbered by its path, so targeting more modules doesn't change
  /// the start of the others.
  /// - Parameter uniform: Fills an array with numbers uniform in [0, 1) that depend on nothing but the stream.
  public static func initialized(
    _ configuration: LoRAConfiguration, for targets: [TargetedModule],
    uniform: (_ stream: UInt64, _ values: inout [Float]) -> Void
  ) throws(StorageError) -> Adapter {
    var modules: [AdapterModule] = []
    for target in targets {
      let (rank, width) = (target.rank, target.module.inputWidth)
      let b = try MemorySlice(allocating: .f32, [target.module.outputWidth, rank])
      var values = [Float](repeating: 0, count: rank * width)
      uniform(stream(of: target.module.path), &values)
      let bound = 1 / Float(max(width, 1)).squareRoot()
      for index in values.indices { values[index] = (2 * values[index] - 1) * bound }
      modules.append(
        AdapterModule(
          path: target.module.path, a: try MemorySlice(copying: values, [rank, width]), b: b,
          scaling: target.scaling))
    }
    return Adapter(configuration: configuration, modules: modules)
  }

  /// The number of a module's random stream: the FNV-1a hash of its path.
  static func stream(of path: String) -> UInt64 {
    FNV1a(path.utf8).value
  }
}
