package import GraftCore

/// What a safetensors header declares, apart from the file that it stood in.
package struct SafetensorsDeclaration {
  /// The tensors in the order of their data, with their first byte relative to the end of the header.
  package let tensors: [(info: TensorInfo, begin: Int)]
  /// The bytes of all tensors.
  package let dataByteCount: Int

  /// Parses the bytes before a file's tensor data: the length field and the JSON text.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/safetensors/SPEC.md`.
  package init(header: [UInt8], file: String) throws(StorageError) {
    let limits = FormatLimits.standard
    let length = header.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard header.count >= 8, length == UInt64(header.count - 8) else {
      throw StorageError(
        .malformed(
          rule: "safetensors S-3", expected: "a header of \(length) bytes",
          found: "\(max(0, header.count - 8))"),
        file: file)
    }
    let parsed = try SafetensorsHeader(
      parsing: Array(header.dropFirst(8)), file: file, limits: limits)
    let end = parsed.entries.map(\.end).max() ?? 0
    let entries = try parsed.tiled(over: end, file: file)
    tensors = entries.map { ($0.info, $0.begin) }
    dataByteCount = end
  }
}
