internal import GraftCore

/// What sentence-transformers' `modules.json` says of a table of vectors.
enum StaticModules {
  static let fileName = "modules.json"
  static let maximumByteCount = 1 << 20

  /// The folder of the module `StaticEmbedding`; nil without one, or where it is the directory itself.
  ///
  /// A path that leaves the directory counts as none (static-embeddings E-6).
  static func tableFolder(in modules: JSONValue) -> String? {
    guard let module = modules.array?.first(where: isTable), let path = module["path"]?.string,
      !path.isEmpty, path != ".", Directory.isSafeRelativePath(path)
    else { return nil }
    return path
  }

  private static func isTable(_ module: JSONValue) -> Bool {
    module["type"]?.string?.split(separator: ".").last == "StaticEmbedding"
  }
}
