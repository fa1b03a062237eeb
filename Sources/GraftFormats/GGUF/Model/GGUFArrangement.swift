internal import GraftCore

/// How a tensor of a Hugging Face model and its counterpart in GGUF differ, beside their names.
package enum GGUFArrangement: Sendable, Hashable {
  /// Not at all.
  case same
  /// The rows of each head stand in another order.
  case headRows(HeadRowOrder)
  /// The model has W: [in, out], GGUF Wᵀ: [out, in].
  case transposed
  /// The model's norm multiplies by 1 + w, and GGUF holds that.
  case plusOne

  /// The shape in GGUF of a tensor with a shape in the model.
  ///
  /// - Precondition: a transposed tensor is a matrix.
  func stored(_ shape: Shape) -> Shape {
    switch self {
    case .same, .headRows, .plusOne: shape
    case .transposed: Shape(trusted: [shape[1], shape[0]])
    }
  }

  /// Fills `buffer` with elements of a matrix whose transpose is what `read` gives.
  ///
  /// - Parameters:
  ///   - shape: The matrix: [rows, columns].
  ///   - elements: Positions in the flattened matrix.
  ///   - width: Bytes of an element; the buffer has room for exactly the elements.
  ///   - read: Gives positions of the flattened transpose.
  static func transpose(
    _ shape: Shape, _ elements: Range<Int>, width: Int, into buffer: inout MutableRawSpan,
    reading read: (Range<Int>, inout MutableRawSpan) throws(StorageError) -> Void
  ) throws(StorageError) {
    let (rows, columns) = (shape[0], shape[1])
    let first = elements.lowerBound / columns
    let count = (elements.upperBound + columns - 1) / columns - first
    var part = [UInt8](repeating: 0, count: count * width)
    for column in 0..<columns {
      let start = column * rows + first
      try part.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try read(start..<start + count, &bytes)
      }
      let place = first * columns + column - elements.lowerBound
      switch width {
      case 2: scatter(part, UInt16.self, from: place, step: columns, into: &buffer)
      case 4: scatter(part, UInt32.self, from: place, step: columns, into: &buffer)
      default: scatter(part, UInt64.self, from: place, step: columns, into: &buffer)
      }
    }
  }

  /// Fills `buffer` with elements of rows that stand in another order in what `read` gives.
  ///
  /// - Parameters:
  ///   - elements: Positions in the flattened rows.
  ///   - width: Bytes of an element; the buffer has room for exactly the elements.
  ///   - place: The row that is read for a row, one of the same head.
  ///   - read: Gives positions of the flattened rows as they stand.
  static func reorder(
    _ shape: Shape, headWidth: Int, _ elements: Range<Int>, width: Int,
    into buffer: inout MutableRawSpan, place: (Int) -> Int,
    reading read: (Range<Int>, inout MutableRawSpan) throws(StorageError) -> Void
  ) throws(StorageError) {
    let columns = shape.rank > 1 ? shape.columns : 1
    guard !elements.isEmpty else { return }
    // Whole heads at once, unless they are much more than what is asked for.
    let isRowByRow = 2 * headWidth * columns > elements.count
    let step = isRowByRow ? 1 : headWidth
    let firstRow = elements.lowerBound / columns / step * step
    let endRow = min(
      shape.elementCount / columns, (elements.upperBound - 1) / columns / step * step + step)
    var rows = [UInt8](repeating: 0, count: isRowByRow ? 0 : (endRow - firstRow) * columns * width)
    if !isRowByRow {
      try rows.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try read(firstRow * columns..<endRow * columns, &bytes)
      }
    }
    var next = elements.lowerBound
    while next < elements.upperBound {
      let row = next / columns
      let end = min(elements.upperBound, (row + 1) * columns)
      let shift = (place(row) - row) * columns
      let at = next - elements.lowerBound
      var part = buffer._mutatingExtracting(at * width..<(at + end - next) * width)
      if isRowByRow {
        try read(next + shift..<end + shift, &part)
      } else {
        let from = (next + shift - firstRow * columns) * width
        rows.withRawBytes {
          part.overwrite(at: 0, with: $0.extracting(from..<from + part.byteCount))
        }
      }
      next = end
    }
  }

  /// Puts elements of f16, bf16, f32 or f64 at every `step`-th place, where the buffer has it.
  private static func scatter<Element: FixedWidthInteger & BitwiseCopyable>(
    _ part: [UInt8], _: Element.Type, from start: Int, step: Int, into buffer: inout MutableRawSpan
  ) {
    let width = MemoryLayout<Element>.size
    let places = buffer.byteCount / width
    var place = start
    part.withRawBytes { bytes in
      for row in 0..<bytes.byteCount / width {
        if place >= 0, place < places {
          // Safety: RawSpan checks the bounds, and any bits are an integer.
          let element = unsafe bytes.unsafeLoadUnaligned(
            fromByteOffset: row * width, as: Element.self)
          buffer.storeBytes(of: element, toByteOffset: place * width, as: Element.self)
        }
        place += step
      }
    }
  }
}

/// How the llama architecture stores the rows of query and key projections.
///
/// Rotary embedding turns pairs of a head's rows. The model pairs row i with row i + width/2; GGUF stores the two
/// beside each other.
package struct HeadRowOrder: Sendable, Hashable {
  /// The rows of a head.
  package let headWidth: Int

  /// The stored row that is a row of the model.
  package func storedRow(of row: Int) -> Int {
    let inHead = row % headWidth
    let half = headWidth / 2
    return row - inHead + inHead % half * 2 + inHead / half
  }

  /// The row of the model that is a stored row.
  package func modelRow(of row: Int) -> Int {
    let inHead = row % headWidth
    return row - inHead + inHead % 2 * (headWidth / 2) + inHead / 2
  }
}
