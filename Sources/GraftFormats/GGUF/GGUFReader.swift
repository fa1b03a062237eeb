public import GraftCore

/// A GGUF checkpoint, version 2 or 3, in one file or split in several.
///
/// Shapes are in the order of the other formats, outermost first. Block-quantized tensors keep their stored type;
/// `read` gives stored bytes and `readValues` floats.
public struct GGUFReader: CheckpointReader {
  /// GGUF.
  public var format: CheckpointFormat { .gguf }
  /// The path that was opened.
  public let path: String
  /// The tensors of all files, in order.
  public let tensors: [TensorInfo]
  /// The keys and values of the first file.
  public let entries: [(key: String, value: GGUFValue)]
  private let positions: [String: Int]
  private let extents: [FileExtent]

  /// Opens a file; of a split checkpoint any of its files, which opens all.
  ///
  /// - Parameter base: Where the GGUF file begins, if it is embedded in another.
  /// - Throws: ``StorageError`` naming the rule of `Formats/gguf/SPEC.md` and the byte.
  public init(path: String, at base: Int = 0) throws(StorageError) {
    let opened = try GGUFFile(try InputFile(path: path), at: base)
    let files = base == 0 ? try GGUFSplit.complete(opened) : [opened]
    self.path = path
    tensors = files.flatMap(\.tensors)
    extents = files.flatMap { file in
      file.ranges.map { FileExtent(file: file.file, range: $0) }
    }
    entries = files[0].entries
    positions = Dictionary(
      entries.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The value of a key.
  public subscript(_ key: String) -> GGUFValue? { positions[key].map { entries[$0].value } }

  /// The keys and values as text; long arrays are cut short.
  public var metadata: [MetadataEntry] {
    entries.map { MetadataEntry(key: $0.key, value: $0.value.description) }
  }

  /// Fills `buffer` with stored bytes of a tensor.
  public func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    let extent = extents[tensor]
    precondition(
      byteOffset >= 0 && byteOffset + buffer.byteCount <= extent.range.count,
      "a read lies inside its tensor")
    do throws(StorageError) {
      try extent.file.read(at: extent.range.lowerBound + byteOffset, into: &buffer)
    } catch {
      var error = error
      error.tensor = tensors[tensor].name
      throw error
    }
  }

  /// Where a tensor's bytes lie.
  public func extent(of tensor: Int) -> FileExtent? { extents[tensor] }
}
