import GraftCore
import GraftHDF5

extension FuzzTarget {
  /// Whatever libhdf5 makes of a file, this process goes on; accepted: every dataset can be read, or says why not.
  static let hdf5 = FuzzTarget(
    "hdf5", seeds: ["Formats/hdf5"],
    dictionary: ["\u{89}HDF\r\n\u{1a}\n", "OHDR", "OCHK", "FRHP", "BTHD", "TREE", "SNOD", "HEAP"],
    structure: .numbers,
    run: fromFile { path, byteCount in
      guard let reader = try? HDF5Reader(path: path) else { return }
      readAll(reader, byteCount: byteCount)
      _ = try? reader.vocabulary()
    })
}
