import GraftCore
import GraftHDF5

extension FuzzTarget {
  /// Accepted: every dataset can be read, or says why not.
  static let hdf5: FuzzTarget = {
    var target = FuzzTarget(
      "hdf5", seeds: ["Formats/hdf5/accept", "Formats/hdf5/reject", "Fixtures/golden/keras"],
      dictionary: [
        "\u{89}HDF\r\n\u{1a}\n", "OHDR", "OCHK", "FRHP", "BTHD", "TREE", "SNOD", "HEAP",
      ],
      structure: .numbers,
      run: fromFile { path, byteCount in
        guard let reader = try? HDF5Reader(path: path) else { return }
        readAll(reader, byteCount: byteCount, isChecked: false)
        for file in reader.files + reader.shards where file.byteCount <= 1 << 20 {
          _ = try? file.contents(atMost: 1 << 20, file: path)
        }
        _ = try? reader.vocabulary()
        let annotations = reader.annotations(of: Array(reader.tensors.indices), inKeras: true)
        for group in annotations.groups { _ = try? annotations.attributes(ofGroup: group) }
        for tensor in reader.tensors.indices {
          _ = try? annotations.attributes(ofTensor: tensor)
        }
      })
    // Every part of the structure has a checksum, which a change would break and hide all behind it.
    target.repairChecksum = { bytes in
      let file = InputInMemory(bytes)
      do throws(StorageError) {
        _ = try HDF5Reader(path: file.path)
        return nil
      } catch {
        guard let (place, value) = error.checksum, place + 4 <= bytes.count else { return nil }
        var repaired = bytes
        for byte in 0..<4 {
          repaired[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte))
        }
        return repaired
      }
    }
    return target
  }()
}

extension StorageError {
  /// The place of a checksum that is wrong (HDF5 H-3), and what it should be.
  fileprivate var checksum: (place: Int, value: UInt32)? {
    guard case .malformed("HDF5 H-3", let expected, _) = reason, let offset, offset >= 0,
      let value = expected.split(separator: " ").lazy.compactMap({ UInt32($0) }).first
    else { return nil }
    return (offset, value)
  }
}
