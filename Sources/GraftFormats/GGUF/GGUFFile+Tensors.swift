internal import GraftCore

/// A tensor as its header entry describes it, with the place of the entry for errors.
struct GGUFDeclaredTensor {
  let info: TensorInfo
  let dataOffset: Int
  let headerOffset: Int
}

extension GGUFFile {
  static func tensors(
    _ count: Int, alignment: Int, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> [GGUFDeclaredTensor] {
    var tensors: [GGUFDeclaredTensor] = []
    var names = NameTable(reserving: count)
    var shapes = GGUFShapes()
    tensors.reserveCapacity(count)
    for _ in 0..<count {
      let tensor = try tensor(alignment: alignment, &shapes, &cursor)
      let name = tensor.info.name
      guard names.insert(name, at: tensors.count, among: { tensors[$0].info.name }) else {
        throw .repeated(
          name, rule: "gguf G-12", file: cursor.path, tensor: name, offset: tensor.headerOffset)
      }
      tensors.append(tensor)
    }
    return tensors
  }

  private static func tensor(
    alignment: Int, _ shapes: inout GGUFShapes, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> GGUFDeclaredTensor {
    let start = cursor.offset
    let text = try cursor.text("tensor name", "gguf G-11", atMost: GGUFLimits.nameBytes)
    let name = TensorName(utf8: text)
    guard !text.isEmpty else {
      throw StorageError(
        .malformed(rule: "gguf G-11", expected: "a tensor name", found: "an empty one"),
        file: cursor.path, offset: start)
    }
    let shape = try shape(of: name, &shapes, &cursor)
    let typeStart = cursor.offset
    let type = try cursor.integer(UInt32.self, "tensor type (gguf G-15)")
    guard let dtype = GGUFType.dtype(of: type) else {
      throw StorageError(
        .unsupported(feature: "tensor type (gguf G-15)", found: GGUFType.name(type)),
        file: cursor.path,
        tensor: name, offset: typeStart)
    }
    let info: TensorInfo
    do {
      info = try TensorInfo(name: name, dtype: dtype, shape: shape)
    } catch .partialBlock(let elements, let block) {
      throw StorageError(
        .malformed(
          rule: "gguf G-15", expected: "rows of whole blocks of \(block) values of \(dtype)",
          found: "\(elements) values"),
        file: cursor.path, tensor: name, offset: typeStart)
    } catch {
      throw StorageError(
        .overflow(part: "tensor (gguf G-14)"), file: cursor.path, tensor: name, offset: start)
    }
    let offsetStart = cursor.offset
    let declared = try cursor.integer(UInt64.self, "tensor offset (gguf G-16)")
    guard let offset = Int(exactly: declared), offset % alignment == 0 else {
      throw StorageError(
        .malformed(
          rule: "gguf G-16", expected: "an offset that is a multiple of \(alignment)",
          found: String(declared)),
        file: cursor.path, tensor: name, offset: offsetStart)
    }
    return GGUFDeclaredTensor(info: info, dataOffset: offset, headerOffset: start)
  }

  /// The extents, turned around: GGUF names the innermost first.
  private static func shape(
    of name: TensorName, _ shapes: inout GGUFShapes, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> Shape {
    let start = cursor.offset
    let rank = try cursor.integer(UInt32.self, "number of dimensions (gguf G-13)")
    guard rank <= 4 else {
      throw StorageError(
        .malformed(rule: "gguf G-13", expected: "at most 4 dimensions", found: String(rank)),
        file: cursor.path, tensor: name, offset: start)
    }
    var extents = SIMD4<Int>.zero
    for axis in 0..<Int(rank) {
      let extentStart = cursor.offset
      let declared = try cursor.integer(UInt64.self, "extent (gguf G-14)")
      guard let extent = Int(exactly: declared) else {
        throw StorageError(
          .malformed(rule: "gguf G-14", expected: "an extent below 2^63", found: String(declared)),
          file: cursor.path, tensor: name, offset: extentStart)
      }
      extents[Int(rank) - 1 - axis] = extent
    }
    do {
      return try shapes.shape(extents, rank: Int(rank))
    } catch {
      throw StorageError(
        .overflow(part: "tensor (gguf G-14)"), file: cursor.path, tensor: name, offset: start)
    }
  }

  /// Finds each tensor's bytes: inside the file, none shared by two tensors.
  static func place(
    _ tensors: [GGUFDeclaredTensor], dataAt dataStart: Int, in file: InputFile
  ) throws(StorageError) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(tensors.count)
    var (covered, isInOrder) = (0, true)
    for tensor in tensors {
      let (start, startOverflow) = dataStart.addingReportingOverflow(tensor.dataOffset)
      let (end, endOverflow) = start.addingReportingOverflow(tensor.info.byteCount)
      guard !startOverflow, !endOverflow else {
        throw StorageError(
          .overflow(part: "data before the tensor's end (gguf G-16)"), file: file.path,
          tensor: tensor.info.name,
          offset: tensor.headerOffset)
      }
      guard end <= file.byteCount || tensor.info.byteCount == 0 else {
        throw StorageError(
          .truncated(
            part: "tensor data (gguf G-16)", expectedBytes: tensor.info.byteCount,
            foundBytes: max(0, file.byteCount - start)),
          file: file.path, tensor: tensor.info.name, offset: start)
      }
      // Where an empty tensor lies doesn't matter, but that it lies in the file.
      let range = end > file.byteCount ? file.byteCount..<file.byteCount : start..<end
      ranges.append(range)
      guard !range.isEmpty else { continue }
      isInOrder = isInOrder && start >= covered
      covered = end
    }
    // Each begins where the one before ended or later, as files are written.
    guard !isInOrder else { return ranges }
    let order = ranges.indices.filter { !ranges[$0].isEmpty }
      .sorted { ranges[$0].lowerBound < ranges[$1].lowerBound }
    for (left, right) in zip(order, order.dropFirst())
    where ranges[left].upperBound > ranges[right].lowerBound {
      throw StorageError(
        .malformed(
          rule: "gguf G-17", expected: "bytes of its own",
          found: "bytes shared with \(tensors[left].info.name)"),
        file: file.path, tensor: tensors[right].info.name, offset: ranges[right].lowerBound)
    }
    return ranges
  }
}

/// The shapes met last, so that the many tensors of one shape share its extents.
struct GGUFShapes {
  private var known: [(extents: SIMD4<Int>, shape: Shape)] = []
  private var oldest = 0

  private static let capacity = 8

  /// The shape of the first `rank` extents; the others are zero.
  mutating func shape(_ extents: SIMD4<Int>, rank: Int) throws(ShapeError) -> Shape {
    for entry in known where entry.extents == extents && entry.shape.rank == rank {
      return entry.shape
    }
    let shape = try Shape((0..<rank).map { extents[$0] })
    if known.count < Self.capacity {
      known.append((extents, shape))
    } else {
      known[oldest] = (extents, shape)
      oldest = (oldest + 1) % Self.capacity
    }
    return shape
  }
}
