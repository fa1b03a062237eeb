import GraftCore
import GraftFormats

extension FuzzTarget {
  /// One array, or an archive of them.
  ///
  /// Accepted: every array can be read, but for deflated ones that turn out to be damaged.
  static let numPy: FuzzTarget = {
    var target = FuzzTarget(
      "numpy",
      seeds: ["Formats/numpy/accept", "Formats/numpy/reject", "Fixtures/golden/numpy/**.npz"],
      dictionary: [
        "'descr': ", "'fortran_order': ", "'shape': ", "True", "False", "<f4", ">f8", ">c8", "|b1",
        "<i2", "(3,)", "(2, 3)", "()", "0L", ".npy", "PK",
      ],
      structure: .array,
      run: fromFile { path, byteCount in
        guard let reader = try? NumPyReader(path: path) else { return }
        readAll(reader, byteCount: byteCount, isChecked: false)
      })
    // Headers of 64 KiB, each read to its last byte, were most of what a run did.
    target.longest = 8 << 10
    return target
  }()
}
