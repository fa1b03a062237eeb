internal import GraftCore

/// The modules that an adapter's tensors update, told from their names and shapes.
struct AdapterModules {
  /// One module.
  struct Module {
    /// The name, as the file spells it.
    let name: [UInt8]
    var rank: Int?
    /// The position of the factor next to the input.
    var down: Int?
    /// The position of the factor next to the output.
    var up: Int?
    /// The position of the tensor that holds α.
    var alpha: Int?
    var hasMagnitude = false
    var kind = Kind.lowRank
  }

  /// How an update is made of its factors.
  enum Kind {
    case lowRank, hadamard, kronecker, orthogonal, whole
  }

  /// The modules in the order of the file.
  private(set) var modules: [Module] = []
  /// The tensors that are an update's part.
  private(set) var partCount = 0
  /// Whether factors are spelled `lora_a` and `lora_b`.
  private(set) var hasLowercaseFactors = false
  private var places: [TensorName: Int] = [:]

  /// Looks through a checkpoint's tensors.
  init(_ reader: any CheckpointReader) {
    let isGGUF = reader.format == .gguf
    for (position, tensor) in reader.tensors.enumerated() {
      let utf8 = tensor.name.utf8
      guard let (part, length) = AdapterPart.find(utf8.span) else { continue }
      add(part, TensorName(utf8: Array(utf8[..<length])), tensor, position, isGGUF: isGGUF)
    }
  }

  private mutating func add(
    _ part: AdapterPart, _ name: TensorName, _ tensor: TensorInfo, _ position: Int, isGGUF: Bool
  ) {
    partCount += 1
    let place = places[name] ?? modules.count
    if place == modules.count {
      places[name] = place
      modules.append(Module(name: name.utf8))
    }
    let shape = tensor.shape
    let isLowercase = tensor.name.utf8.last.map { $0 == 0x61 || $0 == 0x62 } ?? false
    switch part {
    case .down:
      // A is [rank, in], or in MLX [in, rank] and [experts, rank, in].
      let axis = isLowercase && !isGGUF ? 1 : 0
      if isLowercase, !isGGUF { hasLowercaseFactors = true }
      if shape.rank > axis, modules[place].rank == nil { modules[place].rank = shape[axis] }
    case .up:
      // GGUF turns A of an embedding around, but never B: [out, rank].
      if isGGUF, shape.rank == 2 { modules[place].rank = shape[1] }
    case .alpha: modules[place].alpha = position
    case .magnitude: modules[place].hasMagnitude = true
    case .hadamard(let isInner):
      modules[place].kind = .hadamard
      if isInner, shape.rank > 0 { modules[place].rank = shape[0] }
    case .kronecker(let isInner):
      modules[place].kind = .kronecker
      if isInner, shape.rank > 0 { modules[place].rank = shape[0] }
    case .orthogonal: modules[place].kind = .orthogonal
    case .other: if modules[place].rank == nil { modules[place].kind = .whole }
    }
    if part == .down { (modules[place].kind, modules[place].down) = (.lowRank, position) }
    if part == .up { (modules[place].kind, modules[place].up) = (.lowRank, position) }
  }
}
