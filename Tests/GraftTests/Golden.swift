import GraftCore
import TestSupport

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
