package import GraftCore

extension Float {
  /// The nearest bf16, ties to even; NaN stays NaN.
  package var roundedToBF16: Float {
    guard !isNaN else { return self }
    let bits = bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) & 0xFFFF_0000)
  }
}

extension MemorySlice {
  /// The elements as 64-bit floats.
  package var elements: [Double] {
    let source = bytes
    let size = dtype.layout.bytes
    return (0..<shape.elementCount).map { index in
      let offset = index * size
      switch dtype {
      case .f32:
        return Double(unsafe source.unsafeLoadUnaligned(fromByteOffset: offset, as: Float.self))
      case .i32:
        return Double(unsafe source.unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self))
      case .i64:
        return Double(unsafe source.unsafeLoadUnaligned(fromByteOffset: offset, as: Int64.self))
      case .f16:
        return Double(unsafe source.unsafeLoadUnaligned(fromByteOffset: offset, as: Float16.self))
      case .bf16:
        let bits = unsafe source.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)
        return Double(Float(bitPattern: UInt32(bits) << 16))
      default: preconditionFailure("graphs compute with f32, bf16, f16, i32 and i64")
      }
    }
  }
}
