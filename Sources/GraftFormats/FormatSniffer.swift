public import GraftCore

/// Tells what a file is by its content; names say nothing.
public enum FormatSniffer {
  /// What a file was found to be.
  public enum Finding: Sendable, Equatable {
    case safetensors
    case gguf
    case hdf5
    /// The index of a sharded checkpoint.
    case shardIndex
    case wordVectors(WordVectorFormat)
    /// A fastText model.
    case fastText
    /// PyTorch's archive, stacked pickles, or another pickle.
    case pytorch
    /// A NumPy array, or an archive of them.
    case numpy
    /// An archive of Keras 3.
    case keras
    /// None of these.
    case unrecognized
  }

  /// How much of the file is looked at.
  private static let sampleBytes = 1 << 20

  /// Looks at the beginning of a file.
  ///
  /// A finding is a claim, not a verdict: a damaged file is found to be what its reader will say is damaged.
  /// - Throws: ``StorageError`` when the file can't be read.
  public static func sniff(path: String) throws(StorageError) -> Finding {
    let file = try InputFile(path: path)
    let count = min(file.byteCount, sampleBytes)
    return try sniff(file.bytes(at: 0, count: count), of: file)
  }

  /// What can be done with a file that is none of the known formats, if its first bytes tell.
  ///
  /// - Throws: ``StorageError`` when the file can't be read.
  public static func remedy(path: String) throws(StorageError) -> String? {
    let file = try InputFile(path: path)
    let bytes = try file.bytes(at: 0, count: min(file.byteCount, 512))
    if bytes.isEmpty { return "it is empty" }
    if bytes.count >= 262, bytes[257..<262].elementsEqual("ustar".utf8) {
      return "it is a tar archive: unpack it; PyTorch's files from before 0.2 have to be saved anew"
    }
    return foreign.first { bytes.starts(with: $0.signature) }?.remedy
  }

  private static let foreign: [(signature: [UInt8], remedy: String)] = [
    (
      Array("version https://git-lfs".utf8),
      "it is a Git LFS pointer: fetch the file with git lfs pull"
    ),
    ([0x50, 0x4B, 0x03, 0x04], "it is a ZIP archive of other files"),
    ([0x37, 0x7A, 0xBC, 0xAF], "it is compressed with 7z: unpack it first"),
    ([0x89, 0x50, 0x4E, 0x47], "it is a PNG image"), (Array("GIF8".utf8), "it is a GIF image"),
    (Array("<!DOCTYPE".utf8), "it is an HTML page, perhaps an error of a download"),
    (Array("<html".utf8), "it is an HTML page, perhaps an error of a download"),
    ([0x1F, 0x8B], "it is compressed with gzip: unpack it first"),
    ([0x42, 0x5A, 0x68], "it is compressed with bzip2: unpack it first"),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "it is compressed with xz: unpack it first"),
    ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed with zstd: unpack it first"),
    ([0xFF, 0xFE], "if it is text in UTF-16, make it UTF-8 first: iconv -f utf-16 -t utf-8"),
    ([0xFE, 0xFF], "if it is text in UTF-16, make it UTF-8 first: iconv -f utf-16 -t utf-8"),
  ]

  private static func sniff(
    _ bytes: [UInt8], of file: InputFile
  ) throws(StorageError) -> Finding {
    if bytes.starts(with: "GGUF".utf8) { return .gguf }
    if isFastText(bytes) { return .fastText }
    if bytes.starts(with: NumPyHeader.magic) { return .numpy }
    if PyTorchStack.isBeginning(bytes) { return .pytorch }
    if bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]), let finding = archive(bytes, file) {
      return finding
    }
    // An archive without members: numpy.savez() of nothing.
    if bytes.starts(with: [0x50, 0x4B, 0x05, 0x06]) { return .numpy }
    if isSafetensors(bytes) { return .safetensors }
    if try isHDF5(file) { return .hdf5 }
    if isShardIndex(bytes) { return .shardIndex }
    // Other pickles are none of PyTorch's, and its reader names what they would do.
    if bytes.count > 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) { return .pytorch }
    let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    let shape = WordVectorShape(
      bytes.span, from: start, isWhole: bytes.count == file.byteCount)
    return shape.map { .wordVectors($0.format) } ?? .unrecognized
  }

  /// The magic number of fastText's models.
  private static func isFastText(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 8 && bytes.littleEndian(at: 0, as: Int32.self) == FastTextArguments.magic
  }

  /// What an archive holds, told from the name of its first member, or from all names; nil where they say nothing.
  private static func archive(_ bytes: [UInt8], _ file: InputFile) -> Finding? {
    var first: TensorName = ""
    if bytes.count > 30 {
      first = TensorName(utf8: bytes.dropFirst(30).prefix(ZipFields(bytes).u16(at: 26)))
      if let finding = member(first) { return finding }
    }
    guard let end = try? ZipEnd(of: file, limits: .standard),
      let entries = try? ZipEntry.all(of: end, in: file).entries
    else { return isOfKeras(first) || first == "metadata.json" ? .keras : nil }
    // One pickle tells more than any number of arrays, and weights of Keras more than what stands beside them.
    let findings = entries.compactMap { member($0.name) }
    if findings.contains(.pytorch) { return .pytorch }
    return entries.contains { isOfKeras($0.name) } ? .keras : findings.first
  }

  /// Whether a member has the name of Keras's weights.
  private static func isOfKeras(_ name: TensorName) -> Bool {
    name == "model.weights.h5" || name == "model.weights.npz"
  }

  private static func member(_ name: TensorName) -> Finding? {
    if name == "data.pkl" || name.hasSuffix("/data.pkl") { return .pytorch }
    return name.hasSuffix(".npy") ? .numpy : nil
  }

  /// A length that a header may have, and the header's first brace.
  private static func isSafetensors(_ bytes: [UInt8]) -> Bool {
    guard bytes.count > 8 else { return false }
    let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(FormatLimits.standard.safetensorsHeaderBytes) else { return false }
    return firstCharacter(bytes[8...]) == UInt8(ascii: "{")
  }

  /// HDF5's signature stands at byte 0, 512, 1024 and so on, after a block of the user's.
  private static func isHDF5(_ file: InputFile) throws(StorageError) -> Bool {
    let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    var offset = 0
    while offset <= file.byteCount - signature.count, offset <= 1 << 20 {
      if try file.bytes(at: offset, count: signature.count) == signature { return true }
      offset = max(512, offset * 2)
    }
    return false
  }

  /// An object with the key `weight_map`.
  private static func isShardIndex(_ bytes: [UInt8]) -> Bool {
    guard firstCharacter(bytes[...]) == UInt8(ascii: "{") else { return false }
    var scanner = JSONScanner(bytes, file: "")
    while let token = try? scanner.next(), token.kind != .end {
      if token.kind == .key, scanner.depth == 1, scanner.matches(token, "weight_map") {
        return true
      }
    }
    return false
  }

  private static func firstCharacter(_ bytes: ArraySlice<UInt8>) -> UInt8? {
    bytes.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D }
  }
}
