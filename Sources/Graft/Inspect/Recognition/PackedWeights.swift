internal import GraftCore

/// Weights of MLX in which groups of values share a scale: 32-bit words beside `scales` and, for affine ones, `biases`, as
/// `config.json`'s `quantization` announces them.
struct PackedWeights {
  /// The rule and its exceptions.
  let quantization: Inspection.Quantization
  /// The values of the whole checkpoint, packed ones counted one by one.
  private(set) var parameterCount = 0
  private let rule: JSONObject
  private let modules: Set<TensorName>

  /// Finds packed weights; nil where the configuration announces none, or some lack their scales.
  init?(_ reader: any CheckpointReader, _ config: JSONValue) {
    guard let rule = config["quantization"]?.object, let bits = rule["bits"]?.int,
      let groupSize = rule["group_size"]?.int, (1...32).contains(bits), groupSize > 0
    else { return nil }
    let modules = Set(
      reader.tensors.compactMap { $0.dtype == .u32 ? $0.name.module(before: ".weight") : nil })
    let scaled = reader.tensors.count {
      $0.name.module(before: ".scales").map(modules.contains) == true
    }
    guard !modules.isEmpty, scaled == modules.count else { return nil }
    self.rule = rule
    self.modules = modules
    quantization = Inspection.Quantization(
      bits: bits, groupSize: groupSize, mode: rule["mode"]?.string ?? "affine",
      moduleCount: modules.count)
    for tensor in reader.tensors {
      parameterCount &+= valueCount(of: tensor)
    }
  }

  /// A configuration without what it says of packing.
  static func unpacked(_ config: JSONValue) -> JSONValue {
    guard let object = config.object else { return config }
    let kept = object.members.filter { !["quantization", "quantization_config"].contains($0.key) }
    return .object(JSONObject(members: kept))
  }

  /// The shape in which a weight of some shape is stored, if it is packed.
  func storedShape(of name: TensorName, _ shape: Shape) -> Shape? {
    guard let module = name.module(before: ".weight"), modules.contains(module), shape.rank > 0
    else { return nil }
    let (packed, overflow) = shape.columns.multipliedReportingOverflow(by: bits(of: module))
    guard !overflow, packed % 32 == 0 else { return nil }
    return try? Shape(shape.dimensions.dropLast() + [packed / 32])
  }

  /// Whether a tensor holds the scales or biases of packed weights.
  func isAid(_ name: TensorName) -> Bool {
    (name.module(before: ".scales") ?? name.module(before: ".biases")).map(modules.contains)
      == true
  }

  /// The bits of a module's values: its own, where the rule has an exception.
  private func bits(of module: TensorName) -> Int {
    let own = rule[module.text]?["bits"]?.int
    return own.flatMap { (1...32).contains($0) ? $0 : nil } ?? quantization.bits
  }

  private func valueCount(of tensor: TensorInfo) -> Int {
    if let module = tensor.name.module(before: ".weight"), modules.contains(module) {
      let (bits, overflow) = tensor.shape.elementCount.multipliedReportingOverflow(by: 32)
      return overflow ? tensor.shape.elementCount : bits / self.bits(of: module)
    }
    return isAid(tensor.name) ? 0 : tensor.shape.elementCount
  }
}

extension TensorName {
  /// What stands before an ending; nil without it.
  fileprivate func module(before ending: String) -> TensorName? {
    hasSuffix(ending) ? TensorName(utf8: Array(utf8.dropLast(ending.utf8.count))) : nil
  }
}
