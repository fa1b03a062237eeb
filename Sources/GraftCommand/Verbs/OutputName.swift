import ArgumentParser
import Foundation
import Graft

/// The name of a target: whether it looks like that of a file, and of which.
///
/// A name such as `model-v1.5` is a directory's; `model.safetensor` and `model.zip` are those of files that nobody writes.
struct OutputName {
  private let path: String

  init(_ path: String) { self.path = path }

  /// The suffixes of the forms that are written.
  private static let suffixes = [
    ".safetensors", ".gguf", ".h5", ".hdf5", ".keras", ".bin", ".pt", ".pth", ".ckpt", ".npz",
    ".npy", ".vec", ".txt",
  ]

  /// Suffixes of other files, with the written one that is nearest in kind, if one is.
  private static let others: [String: String] = [
    ".pkl": ".pt", ".pickle": ".pt", ".onnx": "", ".tflite": "", ".pb": "", ".msgpack": "",
    ".mlmodel": "", ".ggml": ".gguf", ".st": ".safetensors", ".csv": ".txt", ".tsv": ".txt",
    ".md": "", ".html": "", ".log": "", ".json": "", ".jsonl": "", ".yaml": "", ".yml": "",
    ".toml": "", ".zip": "", ".tar": "", ".tgz": "", ".gz": "", ".xz": "", ".bz2": "", ".zst": "",
    ".7z": "", ".hd5": ".h5", ".hf5": ".h5", ".he5": ".h5", ".parquet": "", ".arrow": "",
  ]

  /// Shorter words are one letter from too many others.
  private static let leastLength = 4

  /// Whether the name is a file's.
  var isFile: Bool {
    let name = path.lowercased()
    return Self.suffixes.contains(where: name.hasSuffix) || unknownSuffix != nil
  }

  /// Checks that a target that isn't there yet doesn't have the name of a file in a form that isn't written.
  ///
  /// - Throws: `ValidationError` that names the nearest suffix.
  func check() throws {
    guard let found = unknownSuffix, !FileManager.default.fileExists(atPath: path) else { return }
    let hint = found.nearest.isEmpty ? "" : ", the nearest is \(found.nearest)"
    throw ValidationError(
      "'\(path)': no format is written to \(found.suffix)\(hint); "
        + "--to names the format of such a file, a slash at the end makes a directory")
  }

  /// A suffix that is none of the written ones and looks like a file's; none after a slash.
  private var unknownSuffix: (suffix: String, nearest: String)? {
    let name = path.lowercased().split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return nil }
    let suffix = String(name[dot...])
    guard !Self.suffixes.contains(suffix) else { return nil }
    if let nearest = Self.others[suffix] {
      let rest = String(name[..<dot])
      return (suffix, Self.suffixes.first(where: rest.hasSuffix) ?? nearest)
    }
    let near = Self.suffixes.first {
      max($0.utf8.count, suffix.utf8.count) > Self.leastLength
        && editDistance(Array($0.utf8), Array(suffix.utf8)) == 1
    }
    return near.map { (suffix, $0) }
  }
}
