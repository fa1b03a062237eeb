internal import GraftCore

/// What a tensor of a PEFT adapter is, told from its name.
enum PEFTName: Equatable {
  /// A of a linear module. A: [rank, in]
  case a(module: String)
  /// B of a linear module. B: [out, rank]
  case b(module: String)
  /// A of an embedding. A: [rank, vocab]
  case embeddingA(module: String)
  /// B of an embedding. B: [hidden, rank]
  case embeddingB(module: String)
  /// A tensor that replaces the base's of the same name.
  case saved(tensor: String)
  /// A part of a variant whose arithmetic isn't built.
  case unsupported(part: String)
  /// Nothing that belongs into an adapter.
  case unknown

  static let prefix = "base_model.model."

  /// Reads a name, with or without the prefix, the adapter's name and wrappers' prefixes.
  init(_ name: TensorName) {
    var path = name.text
    guard Array(path.utf8) == name.utf8 else {
      self = .unknown
      return
    }
    for wrapper in ["_orig_mod.", "module.", Self.prefix] where path.hasPrefix(wrapper) {
      path.removeFirst(wrapper.count)
    }
    let parts = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count > 1, !parts.contains("") else {
      self = .unknown
      return
    }
    self = Self.part(parts) ?? Self.saved(parts)
  }

  /// Reads names with a component that PEFT adds to a module.
  private static func part(_ parts: [String]) -> PEFTName? {
    guard let position = parts.firstIndex(where: addedComponents.contains), position > 0 else {
      return nil
    }
    let module = parts[..<position].joined(separator: ".")
    // What follows: `weight`, after the adapter's name in dumps of a whole state; embeddings have no `weight`.
    let rest = parts[(position + 1)...]
    let isWeight = rest.last == "weight" && rest.count <= 2
    switch parts[position] {
    case "lora_A": return isWeight ? .a(module: module) : .unknown
    case "lora_B" where rest.last == "bias": return .unsupported(part: "lora_bias")
    case "lora_B": return isWeight ? .b(module: module) : .unknown
    case "lora_embedding_A": return rest.count <= 1 ? .embeddingA(module: module) : .unknown
    case "lora_embedding_B": return rest.count <= 1 ? .embeddingB(module: module) : .unknown
    case "lora_magnitude_vector": return .unsupported(part: "use_dora")
    case "lora_diag": return .unsupported(part: "kasa_config")
    default: return .unsupported(part: "trainable_token_indices")
    }
  }

  private static let addedComponents: Set<String> = [
    "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector",
    "lora_diag", "token_adapter",
  ]

  /// Reads names of whole tensors: `modules_to_save`, and embeddings saved along.
  private static func saved(_ parts: [String]) -> PEFTName {
    var parts = parts
    guard let last = parts.last, last == "weight" || last == "bias",
      !parts.contains("original_module")
    else { return .unknown }
    if let infix = parts.firstIndex(of: "modules_to_save"), infix + 2 < parts.count {
      parts.removeSubrange(infix...infix + 1)
    }
    parts.removeAll { $0 == "base_layer" }
    return .saved(tensor: parts.joined(separator: "."))
  }
}

extension AdapterModule.Kind {
  /// The name that PEFT gives A of a module.
  func nameOfA(_ path: String) -> TensorName {
    switch self {
    case .linear: TensorName(PEFTName.prefix + path + ".lora_A.weight")
    case .embedding: TensorName(PEFTName.prefix + path + ".lora_embedding_A")
    }
  }

  /// The name that PEFT gives B of a module.
  func nameOfB(_ path: String) -> TensorName {
    switch self {
    case .linear: TensorName(PEFTName.prefix + path + ".lora_B.weight")
    case .embedding: TensorName(PEFTName.prefix + path + ".lora_embedding_B")
    }
  }
}
