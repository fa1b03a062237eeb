import GraftCore
import GraftHDF5

extension FuzzTarget {
  /// Archives of Keras.
  ///
  /// Accepted: every dataset and every member can be read, or says why not.
  static let keras = FuzzTarget(
    "keras", seeds: ["Formats/keras/accept", "Formats/keras/reject"],
    dictionary: [
      "PK\u{3}\u{4}", "PK\u{1}\u{2}", "PK\u{5}\u{6}", "metadata.json", "config.json",
      "model.weights.h5", "assets/", "\"class_name\"", "\"config\"",
    ],
    structure: .archive,
    run: fromFile { path, byteCount in
      guard let reader = try? KerasArchiveReader(path: path) else { return }
      // Deflated weights are read in a file of their own.
      readAll(
        reader, byteCount: reader.inputs.map(\.byteCount).max() ?? byteCount, isChecked: false)
      for file in reader.files {
        for start in stride(from: 0, to: file.byteCount, by: 1 << 20) {
          _ = try? file.bytes(in: start..<min(start + 1 << 20, file.byteCount))
        }
      }
    })
}
