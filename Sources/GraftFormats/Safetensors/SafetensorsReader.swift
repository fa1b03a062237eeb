public import GraftCore

/// A safetensors file, opened: the header is parsed and validated, no tensor byte is read.
///
/// The format and its numbered rules are in `Formats/safetensors/SPEC.md`.
public struct SafetensorsReader: SingleFileReader {
  /// The open file.
  public let file: InputFile
  /// The tensors in the order of their bytes.
  public let tensors: [TensorInfo]
  /// The entries of `__metadata__` in file order; inert text, never interpreted here.
  public let metadata: [MetadataEntry]
  /// Where each tensor's bytes begin in the file.
  private let starts: [Int]

  /// Validates an open file.
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  public init(_ file: InputFile, limits: FormatLimits = .standard) throws(StorageError) {
    let bytes = try SafetensorsHeader.bytes(of: file, limits: limits)
    let dataStart = 8 + bytes.count
    let header = try SafetensorsHeader(parsing: bytes, file: file.path, limits: limits)
    let entries = try header.tiled(over: file.byteCount - dataStart, file: file.path)
    self.file = file
    self.metadata = header.metadata
    self.tensors = entries.map(\.info)
    self.starts = entries.map { dataStart + $0.begin }
  }

  /// Safetensors.
  public var format: CheckpointFormat { .safetensors }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` on.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  /// - Throws: ``StorageError`` when the file has shrunk since it was opened, or can't be read.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    let info = tensors[tensor]
    precondition(
      byteOffset >= 0 && buffer.byteCount <= info.byteCount - byteOffset,
      "a read lies inside its tensor")
    do {
      try file.read(at: starts[tensor] + byteOffset, into: &buffer)
    } catch {
      var named = error
      named.tensor = info.name
      throw named
    }
  }

  /// Where a tensor's bytes lie.
  public func extent(of tensor: Int) -> FileExtent? {
    FileExtent(file: file, range: starts[tensor]..<starts[tensor] + tensors[tensor].byteCount)
  }
}
