public import GraftCore

/// Which type each tensor of a GGUF file gets.
///
/// One type for all matrices, or one of llama.cpp's mixtures, which give more bits to the tensors that matter most. The rules are those of
/// llama.cpp's `quantize` without an importance matrix (`llama_tensor_get_type` in `src/llama-quant.cpp`, at the version that
/// llama-cpp-python 0.3.36 has).
public enum GGUFMixture: String, Sendable, CaseIterable {
  case f32, f16, bf16
  case q8_0, q4_0, q4_1, q5_0, q5_1
  case q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k

  /// What most matrices get.
  public var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    case .q4_1: .q4_1
    case .q5_0: .q5_0
    case .q5_1: .q5_1
    case .q4_k_s, .q4_k_m: .q4K
    case .q5_k_s, .q5_k_m: .q5K
    case .q6_k: .q6K
    }
  }

  /// The number of `general.file_type`.
  var fileType: UInt64 {
    switch self {
    case .f32: 0
    case .f16: 1
    case .q4_0: 2
    case .q4_1: 3
    case .q8_0: 7
    case .q5_0: 8
    case .q5_1: 9
    case .q4_k_s: 14
    case .q4_k_m: 15
    case .q5_k_s: 16
    case .q5_k_m: 17
    case .q6_k: 18
    case .bf16: 32
    }
  }

  /// The mixture whose type all of the matrices have; nil when they have several.
  init?(of matrices: [TensorInfo]) {
    let dtypes = Set(matrices.map(\.dtype))
    guard dtypes.count == 1, let dtype = dtypes.first,
      let mixture = Self.allCases.first(where: { $0.dtype == dtype })
    else { return nil }
    self = mixture
  }

  /// What decides about the tensors of one model.
  package struct Model: Sendable {
    /// `general.architecture`.
    package let architecture: String
    /// How many blocks there are.
    package let layers: Int
    /// Whether the embedding table is the output head.
    package let isTied: Bool

    package init(architecture: String, layers: Int, isTied: Bool) {
      self.architecture = architecture
      self.layers = layers
      self.isTied = isTied
    }
  }

  /// The type of a tensor.
  ///
  /// - Parameter tensor: Its name and shape as in GGUF, its dtype as in the source.
  package func dtype(of tensor: TensorInfo, in model: Model) -> DType {
    let name = tensor.name.text
    guard tensor.dtype.isComputableFloat || tensor.dtype.isBlockQuantized else {
      return tensor.dtype
    }
    guard Self.isMatrix(tensor) else { return tensor.dtype.isComputableFloat ? .f32 : tensor.dtype }
    guard dtype.isBlockQuantized else { return dtype }
    return Self.fitting(preferred(name, tensor.shape.columns, model), tensor.shape.columns)
  }

  /// The type of a tensor of which only name and shape are known.
  package func dtype(ofPlain tensor: TensorInfo) -> DType {
    guard tensor.dtype.isComputableFloat, tensor.shape.rank >= 2 else { return tensor.dtype }
    return Self.fitting(dtype, tensor.shape.columns)
  }

  /// The type of a tensor that keeps what it has, as far as llama.cpp can compute with it.
  package static func keptDType(of tensor: TensorInfo) -> DType {
    tensor.dtype.isComputableFloat && !isMatrix(tensor) ? .f32 : tensor.dtype
  }

  /// Whether a tensor is one of those that may be narrowed: llama.cpp computes with the others in f32.
  package static func isMatrix(_ tensor: TensorInfo) -> Bool {
    let name = tensor.name.text
    return tensor.shape.rank >= 2 && name.hasSuffix(".weight") && !name.hasSuffix("_norm.weight")
      && name != "position_embd.weight" && name != "token_types.weight"
  }

  /// The type that is wanted, whatever the width of the rows.
  private func preferred(_ name: String, _ columns: Int, _ model: Model) -> DType {
    if name == "output.weight" || (model.isTied && name == "token_embd.weight") {
      if columns % dtype.layout.elements != 0 { return .q8_0 }
      return dtype == .q8_0 ? .q8_0 : .q6K
    }
    let layer = name.split(separator: ".").dropFirst().first.flatMap { Int($0) } ?? 0
    let count = model.layers
    // The first and the last eighth of the blocks, and every third between.
    let hasMoreBits =
      layer < count / 8 || layer >= 7 * count / 8 || (layer - count / 8) % 3 == 2
    if name.hasSuffix("attn_v.weight") || name.hasSuffix("attn_qkv.weight") {
      switch self {
      case .q4_k_m where hasMoreBits, .q5_k_m where hasMoreBits: return .q6K
      case .q4_k_s where layer < 4: return .q5K
      // Llama and Qwen of 70 billion parameters: eight heads share each value.
      case .q4_k_s, .q4_k_m:
        let isLarge = count == 80 && ["llama", "qwen2"].contains(model.architecture)
        return isLarge ? .q5K : .q4K
      default: return dtype
      }
    }
    if name.hasSuffix("ffn_down.weight") {
      switch self {
      case .q4_k_m where hasMoreBits, .q5_k_m where hasMoreBits: return .q6K
      case .q4_k_s where layer < count / 8: return .q5K
      default: return dtype
      }
    }
    return dtype
  }

  /// The type itself, or where rows aren't whole blocks of it the one that stands in: of blocks of 32, or f16.
  private static func fitting(_ dtype: DType, _ columns: Int) -> DType {
    guard columns % dtype.layout.elements != 0 else { return dtype }
    let substitute: DType =
      switch dtype {
      case .q4K: .q5_0
      case .q5K: .q5_1
      case .q6K: .q8_0
      default: dtype
      }
    return columns % substitute.layout.elements == 0 ? substitute : .f16
  }
}
