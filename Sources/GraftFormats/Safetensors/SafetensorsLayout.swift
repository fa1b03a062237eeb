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
    // A header that outgrows its room would be in memory twice, and metadata may have a hundred megabytes.
    let metadataBytes = metadata.reduce(0) {
      $0 + [UInt8].byteCount(quoted: $1.key) + [UInt8].byteCount(quoted: $1.value) + 2
    }
    let limit = limits.safetensorsHeaderBytes
    try Self.check(metadataBytes, against: limit, file: file)
    var header: [UInt8] = []
    header.reserveCapacity(
      metadataBytes + tensors.reduce(64) { $0 + $1.name.utf8.count + Self.likelyBytes })
    // The length field, which is filled in at the end.
    header.append(contentsOf: repeatElement(0, count: 8))
    header.append(UInt8(ascii: "{"))
    if !metadata.isEmpty { try Self.spell(metadata, to: &header, file: file) }
    var begins: [Int] = []
    var covered = 0
    for tensor in tensors {
      let (end, overflow) = covered.addingReportingOverflow(tensor.byteCount)
      guard !overflow else {
        throw StorageError(.overflow(part: "file"), file: file, tensor: tensor.name)
      }
      if header.count > 9 { header.append(UInt8(ascii: ",")) }
      Self.spell(tensor, covered..<end, to: &header)
      begins.append(covered)
      covered = end
    }
    header.append(UInt8(ascii: "}"))
    // S-16: the data begin at a multiple of 8, counted from the start of the file.
    let padded = (header.count - 8 + 7) / 8 * 8
    try Self.check(padded, against: limit, file: file)
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padded + 8 - header.count))
    for place in 0..<8 { header[place] = UInt8(truncatingIfNeeded: padded >> (place * 8)) }
    self.tensors = tensors
    self.begins = begins
    self.dataByteCount = covered
    self.header = header
  }

  /// The bytes of a tensor's entry beside its name, about.
  private static let likelyBytes = 96

  private static func check(
    _ byteCount: Int, against limit: Int, file: String
  ) throws(StorageError) {
    guard byteCount > limit else { return }
    throw StorageError(
      .limitExceeded(
        limit: "header bytes (safetensors S-2)", maximum: limit, found: "\(byteCount)"),
      file: file)
  }

  private static func spell(
    _ metadata: [MetadataEntry], to text: inout [UInt8], file: String
  ) throws(StorageError) {
    text.append(text: "\"__metadata__\":{")
    // S-17: hash tables elsewhere write their own order; this one is the same every time.
    let sorted = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (position, entry) in sorted.enumerated() {
      if position > 0 {
        guard !sorted[position - 1].key.utf8.elementsEqual(entry.key.utf8) else {
          throw StorageError(
            .notRepresentable(
              what: "two metadata entries of one key (S-5)", inFormat: "safetensors"), file: file)
        }
        text.append(UInt8(ascii: ","))
      }
      text.append(quoted: entry.key)
      text.append(UInt8(ascii: ":"))
      text.append(quoted: entry.value)
    }
    text.append(UInt8(ascii: "}"))
  }

  private static func spell(
    _ tensor: TensorInfo, _ place: Range<Int>, to text: inout [UInt8]
  ) {
    text.append(quoted: tensor.name)
    text.append(text: ":{\"dtype\":\"")
    text.append(contentsOf: tensor.dtype.description.utf8)
    text.append(text: "\",\"shape\":[")
    for (position, extent) in tensor.shape.dimensions.enumerated() {
      if position > 0 { text.append(UInt8(ascii: ",")) }
      text.append(decimal: extent)
    }
    text.append(text: "],\"data_offsets\":[")
    text.append(decimal: place.lowerBound)
    text.append(UInt8(ascii: ","))
    text.append(decimal: place.upperBound)
    text.append(text: "]}")
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
