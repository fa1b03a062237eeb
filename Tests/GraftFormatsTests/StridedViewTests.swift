import Glibc
import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Views of every kind, read through files of PyTorch's older form, which are easily put together.
struct StridedViewTests {
  let folder = TemporaryFolder()

  /// A view of a storage of 32-bit integers.
  struct View {
    let offset: Int
    let extents: [Int]
    let strides: [Int]

    /// The storage's element behind each element, in the order of the shape.
    var sources: [Int] {
      var result = [offset]
      for (extent, stride) in zip(extents, strides) {
        result = result.flatMap { base in (0..<extent).map { base + $0 * stride } }
      }
      return result
    }
  }

  /// Writes a file with one storage, a hole but for the elements that are given.
  func file(_ views: [View], storageCount: Int, elements: [Int: Int32]) throws -> String {
    var bytes: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50]
    bytes += [0x19, 0x2E, 0x80, 2] + integer(1001) + [0x2E, 0x80, 2, 0x7D, 0x2E, 0x80, 2, 0x7D]
    for (position, view) in views.enumerated() {
      bytes += text("v\(position)") + Array("ctorch._utils\n_rebuild_tensor\n((".utf8)
      bytes += text("storage") + Array("ctorch\nIntStorage\n".utf8) + text("0") + text("cpu")
      bytes += integer(storageCount) + Array("tQ".utf8) + integer(view.offset)
      for list in [view.extents, view.strides] {
        bytes += Array("(".utf8) + list.flatMap(integer) + Array("t".utf8)
      }
      bytes += Array("tRs".utf8)
    }
    bytes += [0x2E, 0x80, 2, 0x5D] + text("0") + Array("a.".utf8)
    let start = bytes.count + 8
    bytes += (0..<8).map { UInt8(truncatingIfNeeded: storageCount >> ($0 * 8)) }
    let path = try folder.write(bytes)
    let descriptor = open(path, O_WRONLY)
    defer { close(descriptor) }
    try #require(ftruncate(descriptor, start + storageCount * 4) == 0)
    for (place, element) in elements {
      var value = element
      try #require(pwrite(descriptor, &value, 4, start + place * 4) == 4)
    }
    return path
  }

  private func integer(_ value: Int) -> [UInt8] {
    [0x8A, 8] + (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  private func text(_ value: String) -> [UInt8] {
    [0x8C, UInt8(value.utf8.count)] + Array(value.utf8)
  }

  private func elements(of tensor: Int, _ reader: PyTorchReader) throws -> [Int32] {
    let bytes = try reader.bytes(of: tensor)
    return stride(from: 0, to: bytes.count, by: 4).map { at in
      (0..<4).reduce(0) { $0 | Int32(truncatingIfNeeded: Int(bytes[at + $1]) << (8 * $1)) }
    }
  }

  @Test func `five hundred random views`() throws {
    var random = RandomSource(state: 7)
    let storageCount = 2000
    var views: [View] = []
    while views.count < 500 {
      let rank = random.below(5)
      let view = View(
        offset: random.below(100), extents: (0..<rank).map { _ in 1 + random.below(6) },
        strides: (0..<rank).map { _ in random.below(random.below(2) == 0 ? 8 : 120) })
      if view.sources.max() ?? 0 < storageCount { views.append(view) }
    }
    let elements = Dictionary(
      uniqueKeysWithValues: (0..<storageCount).map { ($0, Int32($0 * 3 + 1)) })
    let reader = try PyTorchReader(
      path: file(views, storageCount: storageCount, elements: elements))
    for (position, view) in views.enumerated() {
      #expect(
        try self.elements(of: position, reader) == view.sources.map { Int32($0 * 3 + 1) },
        "\(view)")
    }
  }

  @Test func `elements that lie far apart are found without reading what is between`() throws {
    let views = [
      View(offset: 5, extents: [3, 50, 4], strides: [1 << 26, 10_007, 1]),
      View(offset: 0, extents: [40, 3], strides: [3, 1 << 27]),
      View(offset: 9, extents: [2000], strides: [100_003]),
      View(offset: 1, extents: [2, 2, 2, 700], strides: [0, 1 << 25, 1 << 27, 3000]),
      View(offset: 3, extents: [900, 2], strides: [2000, 1]),
    ]
    var elements: [Int: Int32] = [:]
    for view in views { for place in view.sources { elements[place] = Int32(place % 1_000_003) } }
    let storageCount = 1 << 28 | 1 << 27
    let reader = try PyTorchReader(
      path: file(views, storageCount: storageCount, elements: elements))
    for (position, view) in views.enumerated() {
      #expect(
        try self.elements(of: position, reader) == view.sources.map { Int32($0 % 1_000_003) })
    }
  }

  @Test func `reads may begin and end anywhere`() throws {
    let view = View(offset: 2, extents: [7, 5], strides: [1, 7])
    let elements = Dictionary(uniqueKeysWithValues: (0..<40).map { ($0, Int32($0 * 0x0101_0101)) })
    let reader = try PyTorchReader(path: file([view], storageCount: 40, elements: elements))
    let whole = try reader.bytes(of: 0)
    for start in 0..<whole.count {
      var part = [UInt8](repeating: 0, count: min(13, whole.count - start))
      try part.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try reader.read(0, at: start, into: &bytes)
      }
      #expect(part == Array(whole[start..<start + part.count]))
    }
  }

  @Test func `arrays of several bands come into order`() throws {
    // 24 MB in Fortran's order, the element at [i, j, k] being its place in C's.
    let (rows, columns, layers) = (300, 200, 100)
    let header = Array(
      "{'descr': '<i4', 'fortran_order': True, 'shape': (\(rows), \(columns), \(layers)), }\n".utf8)
    var bytes: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(header.count), 0]
    bytes += header
    var values = [Int32](repeating: 0, count: rows * columns * layers)
    for layer in 0..<layers {
      for column in 0..<columns {
        for row in 0..<rows {
          values[(layer * columns + column) * rows + row] =
            Int32((row * columns + column) * layers + layer)
        }
      }
    }
    values.withUnsafeBytes { bytes += Array($0) }
    let reader = try NumPyReader(path: folder.write(bytes))
    var expected: Int32 = 0
    for start in stride(from: 0, to: values.count * 4, by: 1 << 20) {
      var part = [Int32](repeating: 0, count: min(1 << 18, values.count - start / 4))
      try part.withMutableRawBytes { (span: inout MutableRawSpan) throws(StorageError) in
        try reader.read(0, at: start, into: &span)
      }
      for value in part where value == expected { expected += 1 }
    }
    #expect(expected == Int32(values.count))
  }
}

/// A small generator of the same numbers every time.
struct RandomSource {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
