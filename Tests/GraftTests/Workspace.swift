import Foundation
import GraftCore
import TestSupport

/// A temporary directory that goes with the test.
final class Workspace: Sendable {
  let path: String

  init() {
    path = FileManager.default.temporaryDirectory.appending(path: "graft-\(UUID())").path
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// A copy of a file or directory.
  func copy(_ source: String, to name: String) throws -> String {
    try FileManager.default.copyItem(atPath: source, toPath: self(name))
    return self(name)
  }

  func names(in directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
  }
}

/// Files made by other programs, under `Fixtures/golden`.
func golden(_ path: String) -> String { Repository.golden(path) }

/// A file under `Fixtures`.
func fixture(_ path: String) -> String { Repository.path("Fixtures/" + path) }

extension CheckpointReader {
  /// The bit patterns of a tensor whose elements have the size of `T`.
  func bits<T: FixedWidthInteger & BitwiseCopyable>(_ name: TensorName, as _: T.Type) throws -> [T]
  {
    guard let index = index(of: name) else {
      throw StorageError(.notFound, file: path, tensor: name)
    }
    let slice = try contents(of: index)
    return (0..<slice.byteCount / MemoryLayout<T>.size).map {
      slice.bytes.unsafeLoadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self)
    }
  }

  func bytes(_ name: TensorName) throws -> [UInt8] { try bits(name, as: UInt8.self) }
}
