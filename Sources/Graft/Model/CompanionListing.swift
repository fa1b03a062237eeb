internal import GraftCore

/// What stands in a model's directory beside its weights.
struct CompanionListing {
  /// The files that travel with the model, with those of sub-directories.
  private(set) var files: [CompanionFile] = []
  /// What doesn't, in words: hidden files, what links to directories lead to, weights that weren't asked for, what isn't a file.
  private(set) var others: [String] = []
  /// What others there are beyond those that are told.
  private var furtherCount = 0
  private let isWhole: Bool
  private let weights: Set<String>

  private static let mostOthers = 64

  /// Lists a directory.
  ///
  /// - Parameters:
  ///   - isWhole: Whether the directory was named, and not one of its files, whose folder may hold anything else.
  ///   - weights: The paths of the files that hold the checkpoint's tensors, or say where they are.
  init(of folder: String, isWhole: Bool = true, weights: [String] = []) throws(StorageError) {
    self.isWhole = isWhole
    self.weights = Set(weights.map(Self.plain))
    try add(folder, below: "")
    if furtherCount > 0 { others.append(Quantity.count(furtherCount) + " more") }
  }

  private mutating func add(_ folder: String, below prefix: String) throws(StorageError) {
    for name in try Directory.entries(of: folder) {
      let (path, shown) = (folder + "/" + name, prefix + name)
      if TrainingDirectory.recordNames.contains(name) {
        if !prefix.isEmpty { leave(shown) }
      } else if Directory.exists(at: path) {
        try addDirectory(path, shown, isHidden: name.hasPrefix("."))
      } else if !Directory.hasFile(at: path) {
        leave(shown + ", " + (Directory.obstacle(at: path) ?? "which can't be reached by its name"))
      } else if weights.contains(Self.plain(path)) {
        continue
      } else if name.hasPrefix(".") {
        leave(shown)
      } else if Self.isWeightFile(name), !prefix.hasPrefix("assets/") {
        // Those of the directory itself are told as a run's records.
        if !prefix.isEmpty || !TrainingDirectory.isForeignRecord(name) { leave(shown) }
      } else if isWhole || Self.isModelFile(name) {
        files.append(CompanionFile(name: shown, file: try InputFile(path: path)))
      }
    }
  }

  private mutating func addDirectory(
    _ path: String, _ shown: String, isHidden: Bool
  ) throws(StorageError) {
    guard isWhole else { return }
    if isHidden {
      leave(shown + "/")
    } else if Directory.hasLink(at: path) {
      leave(shown + "/, behind a link")
    } else if try Directory.entries(of: path).isEmpty {
      leave(shown + "/, an empty directory")
    } else {
      try add(path, below: shown + "/")
    }
  }

  private mutating func leave(_ words: String) {
    guard isWhole else { return }
    if others.count < Self.mostOthers { others.append(words) } else { furtherCount += 1 }
  }

  /// A path without what it needn't have.
  private static func plain(_ path: String) -> String {
    path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
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
