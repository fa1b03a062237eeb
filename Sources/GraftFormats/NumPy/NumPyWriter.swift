public import GraftCore

/// NumPy's arrays being written: an `.npz` archive, or a single `.npy` file.
///
/// Headers are NumPy's own, of version 1 and padded so that the elements begin at a multiple of 64.
public struct NumPyWriter: LaidOutWriter {
  /// In which of the two forms.
  public enum Form: Sendable, Equatable {
    case archive
    case singleArray
  }

  /// The tensors and their places.
  public let layout: LaidOutTensors

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
          tensor: tensor.name,
          remedy: "choose a type that it has, for example --dtype f32")
      }
      headers.append(header)
    }
    switch form {
    case .archive:
      var members: [(name: String, byteCount: Int)] = []
      for (tensor, header) in zip(tensors, headers) {
        try Self.checkName(tensor.name, file: output.target)
        members.append((tensor.name.text + ".npy", header.count + tensor.byteCount))
      }
      let archive = try ZipWriter(members, to: output)
      for (member, header) in headers.enumerated() {
        try archive.write(header, of: member, at: 0)
      }
      layout = LaidOutTensors(
        tensors, in: archive,
        at: headers.enumerated().map { (member: $0.offset, offset: $0.element.count) },
        target: output.target)
    case .singleArray:
      try output.reserve(byteCount: headers[0].count + tensors[0].byteCount)
      try output.write(headers[0], at: 0)
      layout = LaidOutTensors(tensors, in: output, at: [headers[0].count])
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
