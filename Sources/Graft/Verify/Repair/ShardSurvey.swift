internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// The safetensors files of a directory held against their index: which belong together, and what is wrong.
struct ShardSurvey {
  /// The directory.
  let directory: String
  /// The index that was found, or the name that a new one gets.
  let indexName: String
  /// The index; nil where there is none, or it can't be read.
  let index: ShardIndex?
  /// The shards that belong together, in the order of their names.
  private(set) var shards: [Shard] = []
  /// Files of tensors that belong to something else.
  private(set) var strangers: [String] = []
  /// What is wrong, and can be put right.
  private(set) var faults: [Defect] = []
  /// What is wrong and can't be put right from what is there.
  private(set) var losses: [Defect] = []
  /// For each tensor its shard.
  private(set) var homes: [(tensor: TensorName, shard: Int)] = []
  /// Tensors that another shard holds as well, with the same bytes: they are left out there.
  private(set) var duplicates: [(tensor: TensorName, shard: Int)] = []
  /// Tensors that the index names, that no shard holds and that are another one by `config.json`.
  private(set) var ties: [(left: TensorName, kept: TensorName)] = []

  /// A file of the checkpoint.
  struct Shard {
    let name: String
    let reader: SafetensorsReader
  }

  private var indexPath: String { directory + "/" + indexName }

  /// Surveys a directory.
  ///
  /// - Parameter indexName: the index that was asked for; nil for the only one, if there is one.
  /// - Throws: ``StorageError`` when the system can't read; what is wrong inside is in the result.
  init(of directory: String, indexName given: String? = nil) throws {
    self.directory = directory
    let names = try Directory.entries(of: directory).filter { !$0.hasPrefix(".") }
    let indexes = names.filter { $0.hasSuffix(Self.indexSuffix) }
    guard given != nil || indexes.count <= 1 else {
      throw StorageError(
        .mismatch(
          subject: "the number of indexes", expected: "one",
          found: indexes.joined(separator: ", ")),
        file: directory, remedy: "name the index itself")
    }
    let found = given ?? indexes.first
    var index: ShardIndex?
    var unreadable: Defect?
    if let found {
      do {
        index = try ShardIndex(path: directory + "/" + found)
      } catch {
        guard let defect = Defect(error, in: directory + "/" + found) else { throw error }
        unreadable = defect
      }
    }
    let below = index?.shards.filter { $0.contains("/") } ?? []
    let files = (names.filter { $0.hasSuffix(".safetensors") } + below).filter {
      Directory.hasFile(at: directory + "/" + $0)
    }
    let choice = ShardChoice(files: files, index: index)
    self.index = index
    indexName = found ?? choice.stem + Self.indexSuffix
    if let unreadable { faults.append(unreadable) }
    if found == nil, choice.names.count > 1 {
      faults.append(
        Defect(file: indexPath, "no index, expected one of \(choice.names.count) shards"))
    }
    strangers = files.filter { !choice.names.contains($0) }
    for name in choice.missing {
      losses.append(
        Defect(file: directory + "/" + name, "no such file, expected " + expected(of: name)))
    }
    if let ambiguity = choice.ambiguity { losses.append(Defect(file: directory, ambiguity)) }
    try open(choice.names.filter(files.contains))
    if let other = choice.abandonedIndex, index != nil {
      faults.append(Defect(file: indexPath, other))
    }
    try placeTensors(isIndexKept: choice.abandonedIndex == nil)
  }

  private static let indexSuffix = ".safetensors.index.json"

  /// What the index expects of a shard.
  private func expected(of name: String) -> String {
    guard let index, let shard = index.shards.firstIndex(of: name) else { return "a shard" }
    return placed(Quantity.of(index.placements.count { $0.shard == shard }, "tensor"))
  }

  /// Words for a tensor that isn't where the index has it, with the rule.
  private func placed(_ words: String) -> String {
    index == nil ? words : words + " (shard-index I-8)"
  }

  private mutating func open(_ names: [String]) throws {
    var identities: [FileIdentity: String] = [:]
    for name in names {
      do {
        let reader = try SafetensorsReader(path: directory + "/" + name)
        if let other = identities.updateValue(name, forKey: reader.file.identity) {
          losses.append(
            Defect(
              file: directory + "/" + name,
              "the same file as \(other.escapedShortened) (shard-index I-7)"))
        }
        shards.append(Shard(name: name, reader: reader))
      } catch {
        guard let defect = Defect(error, in: directory + "/" + name) else { throw error }
        losses.append(defect)
      }
    }
  }

  // MARK: - Tensors

  /// Holds every tensor against the index.
  private mutating func placeTensors(isIndexKept: Bool) throws {
    let listed = isIndexKept ? index : nil
    var wanted: [TensorName: Int] = [:]
    let positions = Dictionary(
      shards.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    for placement in listed?.placements ?? [] {
      wanted[placement.tensor] =
        listed.flatMap { positions[$0.shards[placement.shard]] } ?? Self.nowhere
    }
    var found: [TensorName: Int] = [:]
    for (shard, content) in shards.enumerated() {
      for (position, tensor) in content.reader.tensors.enumerated() {
        guard let other = found[tensor.name] else {
          found[tensor.name] = shard
          homes.append((tensor.name, shard))
          continue
        }
        try addDuplicate(tensor.name, position, in: shard, besides: other)
      }
    }
    guard let listed else { return }
    for home in homes {
      guard let place = wanted.removeValue(forKey: home.tensor) else {
        faults.append(
          Defect(
            file: indexPath, tensor: home.tensor,
            placed("not in the index, found in \(shards[home.shard].name.escapedShortened)")))
        continue
      }
      let isTwice = duplicates.contains { $0.tensor == home.tensor }
      guard place != home.shard, !isTwice else { continue }
      let said =
        place == Self.nowhere ? "a file that isn't there" : shards[place].name.escapedShortened
      faults.append(
        Defect(
          file: indexPath, tensor: home.tensor,
          placed("expected in \(said), found in \(shards[home.shard].name.escapedShortened)")))
    }
    try explainMissing(listed.placements.map(\.tensor).filter { wanted[$0] != nil }, found)
    let total = shards.reduce(0) { $0 + $1.reader.tensors.reduce(0) { $0 + $1.byteCount } }
    if losses.isEmpty, duplicates.isEmpty, let declared = listed.totalByteCount, declared != total {
      faults.append(
        Defect(
          file: indexPath,
          "total_size is \(declared) bytes, expected \(total) (shard-index I-9)"))
    }
  }

  private static let nowhere = -1

  private mutating func addDuplicate(
    _ name: TensorName, _ position: Int, in shard: Int, besides other: Int
  ) throws {
    let (one, two) = (shards[other].reader, shards[shard].reader)
    let file = directory + "/" + shards[shard].name
    let first = shards[other].name.escapedShortened
    guard let twin = one.index(of: name),
      try one.hasSameValues(twin, as: position, of: two)
    else {
      losses.append(
        Defect(
          file: file, tensor: name,
          placed("also in \(first), with other values: nothing tells which one is meant")))
      return
    }
    faults.append(
      Defect(file: file, tensor: name, placed("also in \(first), with the same values")))
    duplicates.append((name, shard))
  }

  /// Names of the index that no shard holds: left-out copies of tied tensors, or tensors that are lost.
  private mutating func explainMissing(
    _ missing: [TensorName], _ found: [TensorName: Int]
  ) throws {
    guard !missing.isEmpty else { return }
    let config = directory + "/config.json"
    let json =
      Directory.hasFile(at: config)
      ? try? JSONValue.parse(InputFile.contents(of: config, atMost: 1 << 24), file: config) : nil
    let decoder =
      json.flatMap { try? KnownArchitectures.configuration($0, file: config) }
      as? any DecoderConfiguration
    let embedding = decoder.flatMap { decoder in
      decoder.tiesEmbeddings
        ? decoder.storedNames(of: decoder.embeddingName).first { found[$0] != nil } : nil
    }
    for name in missing {
      if let embedding, name == decoder?.headName {
        ties.append((name, embedding))
        faults.append(
          Defect(
            file: indexPath, tensor: name,
            placed("in the index and in no shard: config.json ties it to \(embedding)")))
      } else if losses.contains(where: { $0.tensor == nil }) {
        // A whole file is gone or damaged, and told already.
        continue
      } else {
        losses.append(
          Defect(file: indexPath, tensor: name, placed("in the index and in no shard")))
      }
    }
  }
}

extension CheckpointReader {
  /// Whether a tensor of another checkpoint has the same dtype, shape and bytes.
  func hasSameValues(
    _ tensor: Int, as twin: Int, of other: any CheckpointReader
  ) throws -> Bool {
    let (left, right) = (tensors[tensor], other.tensors[twin])
    guard left.dtype == right.dtype, left.shape == right.shape else { return false }
    let (one, two) = (try TileReader(), try TileReader())
    for (a, b) in zip(TensorTile.all(of: left, at: tensor), TensorTile.all(of: right, at: twin)) {
      let (first, second) = (try one.bytes(of: a, self), try two.bytes(of: b, other))
      if !first.bytes.isSame(as: second.bytes) { return false }
    }
    return true
  }
}
