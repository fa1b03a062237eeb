public import GraftCore
internal import GraftKernels

extension GGUFReader {
  /// Fills `buffer` with values of a tensor as f32, bf16 or f16, rounded once, whatever the stored type.
  ///
  /// - Parameters:
  ///   - elements: Positions in the flattened tensor; whole blocks are the fastest.
  ///   - dtype: f32, bf16 or f16; `buffer` has room for exactly the elements.
  /// - Throws: ``StorageError`` when the file ends early, when the tensor holds integers or doubles, or a finite value that the
  ///   dtype has no number for.
  public func readValues(
    _ tensor: Int, _ elements: Range<Int>, as dtype: DType, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    let info = tensors[tensor]
    let layout = info.dtype.layout
    let width = dtype.layout.bytes
    precondition(buffer.byteCount == elements.count * width, "room for each value")
    guard Quantization.supports(info.dtype) else {
      throw StorageError(
        .unsupported(feature: "values of type", found: info.dtype.description), file: path,
        tensor: info.name)
    }
    if dtype == info.dtype {
      return try read(tensor, at: elements.lowerBound * width, into: &buffer)
    }
    let tileBlocks = max(1, Self.tileElements / layout.elements)
    var first = elements.lowerBound / layout.elements
    let end = (elements.upperBound + layout.elements - 1) / layout.elements
    var stored: [UInt8] = []
    var values: [Float] = []
    while first < end {
      let count = min(tileBlocks, end - first)
      if stored.count != count * layout.bytes {
        stored = [UInt8](repeating: 0, count: count * layout.bytes)
        values = [Float](repeating: 0, count: count * layout.elements)
      }
      try stored.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try read(tensor, at: first * layout.bytes, into: &bytes)
      }
      values.withMutableRawBytes { values in
        stored.withRawBytes { Quantization.dequantize($0, info.dtype, into: &values) }
      }
      let start = first * layout.elements
      let wanted = elements.clamped(to: start..<start + count * layout.elements)
      let place = wanted.lowerBound - elements.lowerBound
      var target = buffer._mutatingExtracting(place * width..<(place + wanted.count) * width)
      try values.withRawBytes { bytes throws(StorageError) in
        let source = bytes.extracting(
          (wanted.lowerBound - start) * 4..<(wanted.upperBound - start) * 4)
        Quantization.narrow(source, to: dtype, into: &target)
        try RoundedValues.checkRange(
          of: source, .f32, in: target.bytes, dtype, from: wanted.lowerBound, file: path,
          tensor: info.name)
      }
      first += count
    }
  }

  /// The values dequantized at a time: they stay in the second-level cache until they are rounded.
  private static var tileElements: Int { 64 << 10 }
}
