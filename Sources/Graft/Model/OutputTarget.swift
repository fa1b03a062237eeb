internal import GraftAdapters
internal import GraftFormats

/// A path that a checkpoint is to be written to, and what stands there already.
///
/// What a verb wrote before may be replaced; a checkpoint of another kind, or one with files or tensors that the new one doesn't
/// have, only when that is asked for; and a directory without a checkpoint never.
struct OutputTarget {
  /// What a checkpoint is, told from the names of its files.
  enum Kind: String {
    case adapter = "an adapter"
    case model = "a model"
    case tensors = "tensors without a configuration"

    init(of names: [String]) {
      let isAdapter = names.contains {
        $0 == LoRAConfiguration.fileName || $0 == Adapter.fileName || $0 == "adapter_model.bin"
      }
      self = isAdapter ? .adapter : names.contains(Self.modelFile) ? .model : .tensors
    }

    private static let modelFile = "config.json"

    /// The file by which the kind is known, which is no more than what the kind says.
    var mark: String? {
      switch self {
      case .adapter: LoRAConfiguration.fileName
      case .model: Self.modelFile
      case .tensors: nil
      }
    }

    /// What is where it stands, as the beginning of a sentence.
    var standing: String { "\(rawValue) \(self == .tensors ? "stand" : "stands") there" }
  }

  private let path: String
  private let overwrites: Bool

  init(_ path: String, overwrites: Bool) {
    self.path = path
    self.overwrites = overwrites
  }

  /// Checks that a directory with some files beside its weights may take the path.
  ///
  /// - Throws: ``StorageError/Reason/alreadyExists``, ``StorageError/Reason/unsupported(feature:found:)`` for a name that is a file's.
  func checkDirectory(holding names: [String]) throws(StorageError) {
    guard Directory.exists(at: path) else {
      if let found = Directory.obstacle(at: path) {
        throw refusal("\(found) stands there; name a directory that isn't there")
      }
      var name = path.lowercased()
      while name.count > 1, name.hasSuffix("/") { name.removeLast() }
      if let suffix = Self.fileSuffixes.first(where: { name.hasSuffix($0) }) {
        throw StorageError(
          .unsupported(feature: "format to write", found: suffix), file: path,
          remedy: path.hasSuffix("/")
            ? "leave out the slash, or give the directory another name"
            : "give the directory another name")
      }
      return
    }
    let present: [String]
    do throws(StorageError) {
      present = try Directory.entries(of: path)
    } catch {
      throw Self.unreadable(error, "name another target")
    }
    guard !present.isEmpty else { return }
    let weights = present.filter { $0.hasSuffix(".safetensors") || Self.isWeightFile($0) }
    guard !weights.isEmpty || present.contains(where: { $0.hasSuffix("config.json") }) else {
      throw refusal("the directory holds something other than a model; name another one")
    }
    guard !overwrites else { return }
    let own = Set(names).union(weights.count == 1 ? weights : [])
    // Of weights in both forms those of safetensors are the model, and the others nobody reads.
    let hasBoth = weights.contains { $0.hasSuffix(".safetensors") && Self.isWeightFile($0) }
    let kind = Kind(of: present)
    let isOther = kind != Kind(of: names)
    let foreign = try foreignFiles(below: "") {
      own.contains($0) || Self.isWeightFile($0) && !(hasBoth && $0.contains(".bin"))
        || isOther && $0 == kind.mark
    }
    if isOther {
      let rest = foreign.isEmpty ? "" : " with " + foreign.listed
      throw refusal("\(kind.standing), and would be lost\(rest); " + Self.wayRound)
    }
    try checkNothingIsLost(foreign)
  }

  /// Checks that one file, which holds a checkpoint of a kind, may take the path.
  ///
  /// - Parameter missing: What of a checkpoint that stands there the new one has not, by name.
  /// - Throws: ``StorageError/Reason/alreadyExists``, ``StorageError/Reason/notRegular(found:)`` for a directory.
  func checkFile(
    holding kind: Kind, missing: (OpenedCheckpoint) -> [String]
  ) throws(StorageError) {
    guard !Directory.exists(at: path) else {
      throw StorageError(.notRegular(found: "a directory"), file: path)
    }
    guard !overwrites, Directory.hasFile(at: path) else { return }
    let present: OpenedCheckpoint
    do throws(StorageError) {
      present = try OpenedCheckpoint(path: path)
    } catch {
      // What can't be read may be anything.
      guard error.diagnosis.kind == .badInput else {
        throw Self.unreadable(error, Self.wayRound)
      }
      throw refusal(
        "\(fileName), a file that is no checkpoint, stands there, and would be lost; "
          + Self.wayRound)
    }
    let found = Kind(of: present)
    guard [kind, .tensors].contains(found) else {
      throw refusal("\(describe(present)) stands there, and would be lost; " + Self.wayRound)
    }
    try checkNothingIsLost(missing(present))
  }

  /// Checks that the files of a split checkpoint may be written, which can't replace others in one step.
  ///
  /// Parts of a split GGUF file without the first one, which appears last, are what a killed process left.
  /// - Throws: ``StorageError/Reason/alreadyExists`` where anything else stands already.
  func checkParts(_ paths: [String]) throws(StorageError) {
    let isWhole = paths.first.map { Directory.hasFile(at: $0) } ?? false
    for path in paths where Directory.hasFile(at: path) || Directory.exists(at: path) {
      if !isWhole, try FormatSniffer.sniff(path: path) == .gguf { continue }
      throw StorageError(
        .alreadyExists, file: path,
        remedy: "files of a split checkpoint aren't replaced: remove them, or name another target")
    }
  }

  /// Checks that a report may take the path, where nothing may stand but a file that is known as such a report, or is empty.
  ///
  /// - Throws: ``StorageError``; also where the file couldn't be written.
  func checkReport(_ isReport: (InputFile) throws(StorageError) -> Bool) throws(StorageError) {
    try Directory.checkWritable(path)
    guard !overwrites, Directory.hasFile(at: path) else { return }
    let file: InputFile
    do throws(StorageError) {
      file = try InputFile(path: path)
    } catch {
      throw Self.unreadable(error, "name another one")
    }
    let isKept = file.byteCount > 0 ? try !isReport(file) : false
    guard !isKept else {
      throw refusal("a file that is no report stands there, and would be lost; name another one")
    }
  }

  /// A file that stands at the path: its name, what it holds and its size, as part of a sentence.
  private func describe(_ present: OpenedCheckpoint) -> String {
    let size = present.reader.inputs.reduce(0) { $0 + $1.byteCount }
    return "\(fileName), \(present.words), \(Quantity.bytes(size)),"
  }

  /// The path's last name.
  private var fileName: String {
    (path.split(separator: "/").last.map(String.init) ?? path).escapedShortened
  }

  private func checkNothingIsLost(_ names: [String]) throws(StorageError) {
    guard !names.isEmpty else { return }
    throw refusal("\(names.listed) would be lost; " + Self.wayRound)
  }

  /// The files of the directory that aren't the new checkpoint's own, links to directories among them.
  private func foreignFiles(
    below prefix: String, besides isOwn: (String) -> Bool
  ) throws(StorageError) -> [String] {
    var names: [String] = []
    for entry in try Directory.entries(of: path + "/" + prefix) {
      let name = prefix + entry
      if Directory.exists(at: path + "/" + name), !Directory.hasLink(at: path + "/" + name) {
        names += try foreignFiles(below: name + "/", besides: isOwn)
      } else if !isOwn(name) {
        names.append(name)
      }
    }
    return names
  }

  /// The system's error about what stands at a target, with what to do.
  private static func unreadable(_ error: StorageError, _ remedy: String) -> StorageError {
    StorageError(
      error.reason, file: error.file,
      remedy: "what stands there can't be read, and would be lost; " + remedy)
  }

  private func refusal(_ remedy: String) -> StorageError {
    StorageError(.alreadyExists, file: path, remedy: remedy)
  }

  /// The ends of names that nobody expects of a directory.
  private static let fileSuffixes = [
    ".gguf", ".safetensors", ".h5", ".hdf5", ".keras", ".bin", ".pt", ".pth", ".ckpt", ".npy",
    ".npz", ".vec", ".txt",
  ]

  private static let wayRound = "name another target, or give --overwrite"

  /// Whether a file holds the weights of a directory, or a part of them, or says where they are.
  private static func isWeightFile(_ name: String) -> Bool {
    [
      ("model", ".safetensors"), ("adapter_model", ".safetensors"), (PyTorchWriter.stem, ".bin"),
      ("adapter_model", ".bin"),
    ].contains { stem, suffix in
      name == stem + suffix || name == stem + suffix + ".index.json"
        || name.hasPrefix(stem + "-") && name.contains("-of-") && name.hasSuffix(suffix)
    }
  }
}

extension OutputTarget.Kind {
  /// The kind of something that stands at a path.
  init(of checkpoint: OpenedCheckpoint) {
    switch checkpoint.kind {
    case .adapter: self = .adapter
    case .model: self = .model
    case .embeddings, .tensors: self = .tensors
    }
  }
}
