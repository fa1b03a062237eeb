import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: covered to the last byte, readable whole, and the same when written again.
  static let safetensors = FuzzTarget(
    "safetensors", seeds: ["Formats/safetensors/accept", "Formats/safetensors/reject"],
    dictionary: [
      "__metadata__", "dtype", "shape", "data_offsets", "F32", "BF16", "F4", "F6_E2M3", "BOOL",
      "C64", "[", "]", "{", "}", "\\u0061", "9223372036854775807", "18446744073709551615",
    ],
    structure: .lengthAndHeader,
    run: fromFile { path, byteCount in
      guard let reader = try? SafetensorsReader(path: path) else { return }
      readAll(reader, byteCount: byteCount)
      writeBack(reader)
    })
}
