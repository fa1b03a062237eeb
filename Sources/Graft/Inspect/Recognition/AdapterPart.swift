internal import GraftCore

/// What a tensor is to an adapter, told from the end of its name in the spellings of PEFT, diffusers, kohya's sd-scripts,
/// LyCORIS, mlx-lm and llama.cpp.
enum AdapterPart: Equatable {
  /// The factor next to the input: A, "down".
  case down
  /// The factor next to the output: B, "up".
  case up
  /// α as a scalar.
  case alpha
  /// DoRA's magnitudes.
  case magnitude
  /// A factor of a Hadamard product (LoHa); the inner one shows the rank.
  case hadamard(isInner: Bool)
  /// A factor of a Kronecker product (LoKr); an inner one shows the rank.
  case kronecker(isInner: Bool)
  /// Blocks of an orthogonal update (OFT).
  case orthogonal
  /// A core between the factors, or a difference that is kept whole.
  case other

  /// The part that a name ends in, and how many bytes before it name the module; nil for other tensors.
  static func find(_ name: Span<UInt8>) -> (part: AdapterPart, moduleLength: Int)? {
    let count = name.count
    guard count > 2 else { return nil }
    // Most tensors of most files end in .weight behind another letter: they are out at once.
    if name.ends(".weight") {
      switch name[max(0, count - 8)] {
      case 0x41: return name.part(.down, ".lora_A.weight")  // A
      case 0x42: return name.part(.up, ".lora_B.weight")  // B
      case 0x6E:  // n
        return name.part(.down, ".lora_down.weight") ?? name.part(.down, ".lora.down.weight")
          ?? name.part(.down, "_lora.down.weight")
          ?? name.part(.down, ".lora_linear_layer.down.weight")
      case 0x70:  // p
        return name.part(.up, ".lora_up.weight") ?? name.part(.up, ".lora.up.weight")
          ?? name.part(.up, "_lora.up.weight") ?? name.part(.up, ".lora_linear_layer.up.weight")
      case 0x64: return name.part(.other, ".lora_mid.weight")  // d
      case 0x74:  // t, in a dump of PEFT's whole state
        return name.part(.down, ".lora_A.default.weight")
          ?? name.part(.up, ".lora_B.default.weight")
      default: return nil
      }
    }
    switch name[count - 1] {
    case 0x61:  // a
      return name.part(.alpha, ".alpha") ?? name.part(.down, ".lora_a")
        ?? name.part(.hadamard(isInner: false), ".hada_w1_a")
        ?? name.part(.hadamard(isInner: false), ".hada_w2_a")
        ?? name.part(.kronecker(isInner: false), ".lokr_w1_a")
        ?? name.part(.kronecker(isInner: false), ".lokr_w2_a")
    case 0x62:  // b
      return name.part(.up, ".lora_b") ?? name.part(.hadamard(isInner: true), ".hada_w1_b")
        ?? name.part(.hadamard(isInner: false), ".hada_w2_b")
        ?? name.part(.kronecker(isInner: true), ".lokr_w1_b")
        ?? name.part(.kronecker(isInner: true), ".lokr_w2_b") ?? name.part(.other, ".diff_b")
    case 0x41: return name.part(.down, ".lora_embedding_A")
    case 0x42: return name.part(.up, ".lora_embedding_B")
    case 0x65: return name.part(.magnitude, ".dora_scale")
    case 0x72: return name.part(.magnitude, ".lora_magnitude_vector")
    case 0x31:  // 1
      return name.part(.kronecker(isInner: false), ".lokr_w1") ?? name.part(.other, ".hada_t1")
    case 0x32:  // 2
      return name.part(.kronecker(isInner: false), ".lokr_w2") ?? name.part(.other, ".hada_t2")
        ?? name.part(.other, ".lokr_t2")
    case 0x66: return name.part(.other, ".diff")
    case 0x73: return name.part(.orthogonal, ".oft_blocks")
    default: return nil
    }
  }
}

extension Span<UInt8> {
  /// Whether the bytes end in an ASCII text.
  fileprivate func ends(_ text: StaticString) -> Bool {
    let length = text.utf8CodeUnitCount
    guard count > length else { return false }
    return text.withUTF8Buffer { tail in
      for index in 0..<length where unsafe self[count - length + index] != tail[index] {
        return false
      }
      return true
    }
  }

  fileprivate func part(
    _ part: AdapterPart, _ ending: StaticString
  ) -> (part: AdapterPart, moduleLength: Int)? {
    ends(ending) ? (part, count - ending.utf8CodeUnitCount) : nil
  }
}
