package import GraftCore

/// Values that were rounded to a narrower dtype.
package enum RoundedValues {
  /// Checks that what was finite stayed so.
  ///
  /// - Parameters:
  ///   - values: Of f16, bf16, f32 or f64.
  ///   - result: What each was rounded to.
  ///   - start: The number of the first value in its tensor.
  ///   - file: What an error names.
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` with the first value beyond the narrower dtype's range.
  package static func checkRange(
    of values: RawSpan, _ dtype: DType, in result: RawSpan, _ narrower: DType, from start: Int,
    file: String, tensor: TensorName
  ) throws(StorageError) {
    guard reach(of: dtype) > reach(of: narrower) else { return }
    let found = NonFiniteCount(in: result, of: narrower, from: 0)
    guard let first = found.first else { return }
    // What isn't finite stays so: where no more of it came out than went in, nothing was lost.
    guard found.count > NonFiniteCount(in: values, of: dtype, from: 0).count else { return }
    let (width, wide) = (narrower.layout.bytes, dtype.layout.bytes)
    for element in first..<result.byteCount / width {
      let rounded = result.extracting(element * width..<(element + 1) * width)
      let value = values.extracting(element * wide..<(element + 1) * wide)
      guard !NonFiniteCount(in: rounded, of: narrower, from: 0).isEmpty,
        NonFiniteCount(in: value, of: dtype, from: 0).isEmpty
      else { continue }
      let number = decoded(value, dtype)
      throw StorageError(
        .notRepresentable(
          what: "the value \(number) of element \(start + element)", inFormat: "\(narrower)"),
        file: file, tensor: tensor, remedy: remedy(for: number, in: narrower))
    }
  }

  /// From where on numbers are rounded to infinity.
  private static func reach(of dtype: DType) -> Double {
    switch dtype {
    case .f16: 65520
    case .bf16: 0x1.ffp127
    case .f32: 0x1.ffffffp127
    default: .infinity
    }
  }

  private static func remedy(for number: Double, in narrower: DType) -> String {
    let holding = [DType.bf16, .f32].filter {
      abs(number) < reach(of: $0) && reach(of: $0) > reach(of: narrower)
    }
    guard let first = holding.first else { return "keep the type of the tensors" }
    let names = holding.map { "\($0)".lowercased() }
    return "write \(names.joined(separator: " or ")): --dtype \("\(first)".lowercased())"
  }

  private static func decoded(_ bytes: RawSpan, _ dtype: DType) -> Double {
    // Safety: RawSpan checks the bounds, and every bit pattern is a number.
    switch dtype {
    case .bf16:
      Double(
        Float(bitPattern: UInt32(unsafe bytes.unsafeLoadUnaligned(as: UInt16.self)) << 16))
    case .f32: Double(unsafe bytes.unsafeLoadUnaligned(as: Float.self))
    default: unsafe bytes.unsafeLoadUnaligned(as: Double.self)
    }
  }
}
