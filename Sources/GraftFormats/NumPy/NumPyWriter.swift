public import GraftCore
internal import Synchronization

/// NumPy's arrays being written: an `.npz` archive, or a single `.npy` file.
///
/// Headers are NumPy's own, of version 1 and padded so that the elements begin at a multiple of 64.
public final class NumPyWriter: CheckpointWriter {
  /// In which of the two forms.
  public enum Form: Sendable, Equatable {
    case archive
    case singleArray
  }

  /// The tensors in the order of the file.
  public let tensors: [TensorInfo]
  private let headers: [[UInt8]]
  private let archive: ZipWriter?
  private let output: OutputFile
  private let written = Atomic<Int>(0)

  /// Lays the file out.
  ///
  /// - Throws: ``StorageError`` for dtypes that NumPy hasn't, several tensors for one array, or a full disk.
  public init(
    _ tensors: [TensorInfo], form: Form, to output: OutputFile
  ) throws(StorageError) {
    guard form == .archive || tensors.count == 1 else {
      throw StorageError(
        .notRepresentable(what: "\(tensors.count) tensors", inFormat: "a .npy file"),
        file: output.target, remedy: "name an .npz file")
    }
    var headers: [[UInt8]] = []
    for tensor in tensors {
      guard let header = Self.header(of: tensor) else {
        throw StorageError(
          .notRepresentable(what: "\(tensor.dtype)", inFormat: "NumPy"), file: output.target,
          tensor: tensor.name, remedy: "choose a type that it has, for example --dtype f32")
      }
      headers.append(header)
    }
    self.tensors = tensors
    self.headers = headers
    self.output = output
    if form == .archive {
      var members: [(name: String, byteCount: Int)] = []
      for (tensor, header) in zip(tensors, headers) {
        try Self.checkName(tensor.name, file: output.target)
        members.append((tensor.name.text + ".npy", header.count + tensor.byteCount))
      }
      archive = try ZipWriter(members, to: output)
    } else {
      archive = nil
      try output.reserve(byteCount: headers[0].count + tensors[0].byteCount)
    }
    for (position, header) in headers.enumerated() {
      try put(header.rawBytes, of: position, at: 0)
    }
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(
    _ bytes: RawSpan, of tensor: Int, at byteOffset: Int
  ) throws(StorageError) {
    precondition(
      byteOffset >= 0 && bytes.byteCount <= tensors[tensor].byteCount - byteOffset,
      "a write lies inside its tensor")
    try put(bytes, of: tensor, at: headers[tensor].count + byteOffset)
    written.add(bytes.byteCount, ordering: .relaxed)
  }

  /// Copies a whole tensor from a file.
  ///
  /// - Precondition: the extent has the tensor's size.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    precondition(
      extent.range.count == tensors[tensor].byteCount, "a copy has the size of its tensor")
    let start = headers[tensor].count
    if let archive {
      try archive.copy(extent, to: tensor, at: start)
    } else {
      try output.copy(from: extent.file, extent.range, to: start)
    }
    written.add(extent.range.count, ordering: .relaxed)
  }

  /// Checks that every byte was given, and completes the archive.
  public func finish() throws(StorageError) {
    let (given, wanted) = (
      written.load(ordering: .relaxed), tensors.reduce(0) { $0 + $1.byteCount }
    )
    guard given == wanted else {
      throw StorageError(
        .mismatch(
          subject: "the tensor data given to the writer", expected: "\(wanted) bytes",
          found: "\(given)"),
        file: output.target)
    }
    try archive?.finish()
  }

  private func put(_ bytes: RawSpan, of tensor: Int, at offset: Int) throws(StorageError) {
    if let archive {
      try archive.write(bytes, of: tensor, at: offset)
    } else {
      try output.write(bytes, at: offset)
    }
  }

  // MARK: - Headers

  /// A name that leads nowhere else where an archive is unpacked.
  private static func checkName(_ name: TensorName, file: String) throws(StorageError) {
    let isSafe =
      String(validating: name.utf8, as: UTF8.self) != nil && !name.text.contains("\\")
      && name.text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
        !$0.isEmpty && $0 != "." && $0 != ".."
      } && name.text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    guard isSafe else {
      throw StorageError(
        .notRepresentable(what: "the name '\(name)'", inFormat: "an .npz archive"), file: file,
        tensor: name)
    }
  }

  private static func header(of tensor: TensorInfo) -> [UInt8]? {
    guard let descr = description(of: tensor.dtype) else { return nil }
    let extents = tensor.shape.dimensions
    let shape =
      extents.count == 1
      ? "(\(extents[0]),)" : "(" + extents.map(String.init).joined(separator: ", ") + ")"
    let text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': \(shape), }"
    // NumPy's own padding: blanks and a line feed up to a multiple of 64.
    let length = (10 + text.utf8.count + 1 + 63) / 64 * 64
    let padding = [UInt8](repeating: 0x20, count: length - 11 - text.utf8.count)
    let size = [
      UInt8(truncatingIfNeeded: length - 10), UInt8(truncatingIfNeeded: (length - 10) >> 8),
    ]
    return NumPyHeader.magic + [1, 0] + size + Array(text.utf8) + padding + [0x0A]
  }

  private static func description(of dtype: DType) -> String? {
    switch dtype {
    case .bool: "|b1"
    case .u8: "|u1"
    case .i8: "|i1"
    case .u16: "<u2"
    case .i16: "<i2"
    case .f16: "<f2"
    case .u32: "<u4"
    case .i32: "<i4"
    case .f32: "<f4"
    case .u64: "<u8"
    case .i64: "<i8"
    case .f64: "<f8"
    case .c64: "<c8"
    default: nil
    }
  }
}
