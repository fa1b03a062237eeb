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
  public var entries: [(key: String, value: GGUFValue)] { files[0].entries }
  private let files: [GGUFFile]
  /// For each file the number of tensors up to its end.
  private let ends: [Int]

  /// Opens a file; of a split checkpoint any of its files, which opens all.
  ///
  /// - Parameter base: Where the GGUF file begins, if it is embedded in another.
  /// - Throws: ``StorageError`` naming the rule of `Formats/gguf/SPEC.md` and the byte.
  public init(path: String, at base: Int = 0) throws(StorageError) {
    let opened = try GGUFFile(try InputFile(path: path), at: base)
    files = base == 0 ? try GGUFSplit.complete(opened) : [opened]
    self.path = path
    tensors = files.count == 1 ? files[0].tensors : files.flatMap(\.tensors)
    var ends: [Int] = []
    for file in files { ends.append((ends.last ?? 0) + file.tensors.count) }
    self.ends = ends
  }

  /// The value of a key.
  public subscript(_ key: String) -> GGUFValue? { files[0].value(of: key) }

  /// The keys and values as text; long arrays are cut short.
  public var metadata: [MetadataEntry] {
    entries.map { MetadataEntry(key: $0.key, value: $0.value.description) }
  }

  /// Fills `buffer` with stored bytes of a tensor.
  public func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    let extent = place(of: tensor)
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
  public func extent(of tensor: Int) -> FileExtent? { place(of: tensor) }

  private func place(of tensor: Int) -> FileExtent {
    let number = ends.firstIndex { tensor < $0 } ?? 0
    let file = files[number]
    let first = number == 0 ? 0 : ends[number - 1]
    return FileExtent(file: file.file, range: file.ranges[tensor - first])
  }
}
