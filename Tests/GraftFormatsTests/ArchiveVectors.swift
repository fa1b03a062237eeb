import GraftCore
import GraftFormats
import TestSupport
import Testing

/// One row of the tables of `Formats/zip`, `Formats/pytorch` and `Formats/numpy`.
struct ArchiveVector: Sendable, CustomTestStringConvertible {
  let format: String
  let row: JSONValue

  var file: String { row["file"]?.string ?? "" }
  var isAccepted: Bool { row["verdict"] == "accept" }
  var path: String { Repository.path("Formats/\(format)/\(file)") }
  var testDescription: String { file }

  static func table(of format: String) -> [ArchiveVector] {
    let name = "Formats/\(format)/vectors.json"
    guard let rows = try? JSONValue.parse(Repository.bytes(name), file: name).array else {
      return []
    }
    return rows.map { ArchiveVector(format: format, row: $0) }
  }

  /// The files that are there.
  static func files(of format: String) throws -> Set<String> {
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/\(format)/\(verdict)")
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    return found
  }

  /// Holds an error against the row.
  func judge(_ error: StorageError) throws {
    #expect(error.citation == row["rule"]?.string, "\(error)")
    if let offset = row["offset"]?.int { #expect(error.offset == offset, "\(error)") }
    #expect(error.file == path)
    #expect(error.diagnosis.kind == .badInput)
  }

  /// Holds the tensors of a reader, and their bytes, against the row.
  func judge(_ reader: any CheckpointReader) throws {
    let expected = try #require(row["tensors"]?.array)
    #expect(reader.tensors.map(\.name.text) == expected.map { $0["name"]?.string })
    #expect(reader.tensors.map(\.dtype.rawValue) == expected.map { $0["dtype"]?.string })
    #expect(
      reader.tensors.map(\.shape.dimensions) == expected.map { $0["shape"]?.array?.map { $0.int } })
    for (position, tensor) in expected.enumerated() {
      #expect(try reader.hexadecimal(position) == tensor["bytes"]?.string, "\(tensor)")
      try reader.checkStoredBytes(of: position)
    }
  }
}

extension CheckpointReader {
  /// The bytes of a small tensor.
  func bytes(of tensor: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: tensors[tensor].byteCount)
    try bytes.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      try read(tensor, at: 0, into: &whole)
    }
    return bytes
  }

  func hexadecimal(_ tensor: Int) throws -> String {
    try bytes(of: tensor).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// Holds every tensor of a checkpoint against those of a safetensors file, byte for byte, whatever their order.
func expectSameTensors(_ reader: any CheckpointReader, as golden: String) throws {
  let expected = try SafetensorsReader(path: Repository.golden(golden))
  #expect(Set(reader.tensors.map(\.name)) == Set(expected.tensors.map(\.name)))
  #expect(reader.tensors.count == expected.tensors.count)
  for (position, info) in reader.tensors.enumerated() {
    let twin = try #require(expected.index(of: info.name))
    #expect(info == expected.tensors[twin])
    #expect(try reader.bytes(of: position) == expected.bytes(of: twin), "\(info.name)")
  }
}
