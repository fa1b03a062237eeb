internal import GraftCore

extension CompanionFile {
  /// The files of a directory that aren't weights, with those of its sub-directories; hidden ones, directories behind links and what a
  /// training run keeps beside its results are left out.
  ///
  /// - Parameter isWhole: whether the directory was named, and not one of its files, whose folder may hold anything else.
  static func files(
    in folder: String, below prefix: String = "", isWhole: Bool = true
  ) throws(StorageError) -> [CompanionFile] {
    var files: [CompanionFile] = []
    for name in try Directory.entries(of: folder)
    where !name.hasPrefix(".") && !TrainingDirectory.recordNames.contains(name) {
      let path = folder + "/" + name
      if Directory.exists(at: path) {
        guard isWhole, !Directory.hasLink(at: path) else { continue }
        files += try Self.files(in: path, below: prefix + name + "/")
      } else if Directory.hasFile(at: path), !isWeightFile(name) || prefix.hasPrefix("assets/"),
        isWhole || isModelFile(name)
      {
        files.append(CompanionFile(name: prefix + name, file: try InputFile(path: path)))
      }
    }
    return files
  }

  /// Whether a file is one of those that a model has beside its weights, by its name.
  private static func isModelFile(_ name: String) -> Bool {
    [".json", ".jinja", ".model"].contains { name.hasSuffix($0) }
      || ["vocab.txt", "merges.txt", "README.md", "LICENSE", "NOTICE"].contains(name)
  }

  /// Whether a file holds weights of whatever program or says where they are; a copy would be stale.
  private static func isWeightFile(_ name: String) -> Bool {
    [
      ".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".hdf5",
      ".keras", ".msgpack", ".onnx", ".onnx_data", ".npz", ".npy",
    ].contains { name.hasSuffix($0) }
  }
}
