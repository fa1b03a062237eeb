package import GraftCore

/// Where everything goes in a canonical safetensors file.
package struct SafetensorsLayout {
  /// The tensors in the order of the file.
  package let tensors: [TensorInfo]
  /// Where each begins, relative to the end of the header.
  package let begins: [Int]
  /// The bytes of all tensors.
  package let dataByteCount: Int
  /// The length field and the padded JSON text.
  package let header: [UInt8]

  /// Orders the tensors and spells the header.
  package init(
    _ unordered: [TensorInfo], metadata: [MetadataEntry], file: String, limits: FormatLimits
  ) throws(StorageError) {
    // S-15: wide elements first, so that nothing needs padding to be aligned.
    let tensors = unordered.sorted {
      let (left, right) = ($0.dtype.safetensorsRank, $1.dtype.safetensorsRank)
      return left == right ? $0.name < $1.name : left > right
    }
    try Self.checkNames(tensors, file: file)
    var text = "{"
    if !metadata.isEmpty { try Self.spell(metadata, to: &text, file: file) }
    var begins: [Int] = []
    var covered = 0
    for tensor in tensors {
      let (end, overflow) = covered.addingReportingOverflow(tensor.byteCount)
      guard !overflow else {
        throw StorageError(.overflow(part: "file"), file: file, tensor: tensor.name)
      }
      if text.utf8.count > 1 { text += "," }
      JSONValue.quote(tensor.name.text, to: &text)
      let extents = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      text += ":{\"dtype\":\"\(tensor.dtype)\",\"shape\":[\(extents)],"
      text += "\"data_offsets\":[\(covered),\(end)]}"
      begins.append(covered)
      covered = end
    }
    text += "}"
    // S-16: the data begin at a multiple of 8, counted from the start of the file.
    let padded = (text.utf8.count + 7) / 8 * 8
    guard padded <= limits.safetensorsHeaderBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "header bytes (safetensors S-2)", maximum: limits.safetensorsHeaderBytes,
          found: "\(padded)"),
        file: file)
    }
    text += String(repeating: " ", count: padded - text.utf8.count)
    self.tensors = tensors
    self.begins = begins
    self.dataByteCount = covered
    self.header = (0..<8).map { UInt8(truncatingIfNeeded: padded >> ($0 * 8)) } + Array(text.utf8)
  }

  private static func spell(
    _ metadata: [MetadataEntry], to text: inout String, file: String
  ) throws(StorageError) {
    let keys = Set(metadata.map { TensorName($0.key) })
    guard keys.count == metadata.count else {
      throw StorageError(
        .notRepresentable(what: "two metadata entries of one key (S-5)", inFormat: "safetensors"),
        file: file)
    }
    text += "\"__metadata__\":{"
    // S-17: hash tables elsewhere write their own order; this one is the same every time.
    let sorted = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (position, entry) in sorted.enumerated() {
      if position > 0 { text += "," }
      JSONValue.quote(entry.key, to: &text)
      text += ":"
      JSONValue.quote(entry.value, to: &text)
    }
    text += "}"
  }

  private static func checkNames(_ tensors: [TensorInfo], file: String) throws(StorageError) {
    for tensor in tensors {
      let problem: String? =
        if tensor.name == "__metadata__" {
          "a tensor named like its metadata (S-18)"
        } else if !tensor.dtype.isSafetensorsType {
          "\(tensor.dtype) (S-7)"
        } else if Array(tensor.name.text.utf8) != tensor.name.utf8 {
          "a name that isn't UTF-8 (S-4)"
        } else {
          nil
        }
      if let problem {
        throw StorageError(
          .notRepresentable(what: problem, inFormat: "safetensors"), file: file,
          tensor: tensor.name)
      }
    }
    try tensors.lazy.map(\.name).checkDiffer(inFormat: "safetensors", file: file)
  }
}

extension DType {
  /// The place among the types of the specification, narrowest first; files begin with the widest.
  var safetensorsRank: Int {
    switch self {
    case .bool: 0
    case .f4: 1
    case .f6E2M3: 2
    case .f6E3M2: 3
    case .u8: 4
    case .i8: 5
    case .f8E5M2: 6
    case .f8E4M3: 7
    case .f8E8M0: 8
    case .f8E4M3FNUZ: 9
    case .f8E5M2FNUZ: 10
    case .i16: 11
    case .u16: 12
    case .f16: 13
    case .bf16: 14
    case .i32: 15
    case .u32: 16
    case .f32: 17
    case .c64: 18
    case .f64: 19
    case .i64: 20
    case .u64: 21
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2K, .q3K, .q4K, .q5K, .q6K,
      .iq4NL, .iq4XS, .mxfp4, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0,
      .nvfp4, .q1_0:
      -1
    }
  }
}
