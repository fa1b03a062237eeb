public import GraftCore
internal import GraftFormats

/// What a repair put right.
public struct RepairReport: Sendable {
  /// Where the checkpoint was.
  public let path: String
  /// Where the repaired one is; nil when nothing was wrong and nothing was written.
  public let output: String?
  /// What was wrong.
  public let faults: [Defect]
  /// Files of tensors that belong to something else, and were left out.
  public let strangers: [String]
  /// What else of the directory stays behind, in words: records of training runs, hidden files, other weights.
  public let others: [String]
  /// Tensors that were left out and are another one, as the index now records.
  public let ties: [(left: TensorName, kept: TensorName)]
  /// The tensors of the repaired checkpoint.
  public let tensorCount: Int
  /// Their bytes.
  public let byteCount: Int
  /// The files of the repaired checkpoint that hold tensors.
  public let shards: [String]

  /// The report as JSON.
  public var json: JSONValue {
    [
      "path": .string(path),
      "output": output.map { .string($0) } ?? .null,
      "repaired": .array(faults.map(\.json)),
      "leftOut": .array((strangers + others).map { .string($0) }),
      "ties": .array(
        ties.map { ["name": .string($0.left.text), "tensor": .string($0.kept.text)] }),
      "tensorCount": JSONValue(tensorCount),
      "byteCount": JSONValue(byteCount),
      "shards": .array(shards.map { .string($0) }),
    ]
  }
}

/// Writes a sharded safetensors checkpoint anew, with an index made from its shards.
///
/// The input stays as it is. Shards are copied byte for byte; one that holds a tensor which stands in another one too, with the
/// same values, is written without it. The other files travel along.
/// - Parameters:
///   - path: A directory, or the index in it.
///   - output: A directory to make.
/// - Throws: ``StorageError`` with what can't be repaired: a shard that is missing or damaged, a tensor that no shard holds, two
///   tensors of one name; or when the system can't read or write.
public func repair(
  _ path: String, to output: String, overwrites: Bool = false, progress: Progress = .none
) throws -> RepairReport {
  let isDirectory = Directory.exists(at: path)
  let folder = isDirectory ? path : Directory.parent(of: path)
  if !isDirectory {
    guard case .shardIndex = try FormatSniffer.sniff(path: path) else {
      throw StorageError(
        .unsupported(feature: "file to repair", found: "one that isn't a shard index"), file: path,
        remedy:
          "a damaged file of tensors can't be repaired; name the directory of a sharded checkpoint")
    }
  }
  try checkHoldsSafetensors(folder, index: path)
  let name = isDirectory ? nil : path.split(separator: "/").last.map(String.init)
  let survey = try ShardSurvey(of: folder, indexName: name)
  if let loss = survey.losses.first { throw refusal(of: loss, among: survey.losses.count) }
  guard !survey.faults.isEmpty else {
    return RepairReport(survey, path: path, output: nil, others: [])
  }
  guard !Directory.isSame(folder, output) else {
    throw StorageError(
      .alreadyExists, file: output,
      remedy: "the damaged checkpoint is there; name another directory")
  }
  let run = RepairRun(survey: survey, folder: folder, output: output, progress: progress)
  try run.write(overwrites: overwrites)
  return RepairReport(survey, path: path, output: output, others: try run.others())
}

/// Checks that there is something that a repair looks at.
///
/// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` for PyTorch's shards, and for no shards at all.
private func checkHoldsSafetensors(_ folder: String, index: String) throws(StorageError) {
  let suffix = ".bin.index.json"
  let names = try Directory.entries(of: folder)
  let isPyTorch = index.hasSuffix(suffix)
  guard isPyTorch || !names.contains(where: { $0.contains(".safetensors") }) else { return }
  let found =
    isPyTorch || names.contains { $0.hasSuffix(suffix) }
    ? "PyTorch's shards" : "no safetensors files"
  throw StorageError(
    .unsupported(feature: "checkpoint to repair", found: found), file: index,
    remedy: "a repair is for shards of safetensors; graft verify says what is wrong with others")
}

private func refusal(of loss: Defect, among count: Int) -> StorageError {
  let more = "\(Quantity.count(count - 1)) more \(count == 2 ? "loss" : "losses")"
  let others = count > 1 ? "; \(more) in graft verify" : ""
  return StorageError(
    .refused(policy: "a repair without all tensors", found: loss.problem + others),
    file: loss.file, tensor: loss.tensor, offset: loss.offset,
    remedy: "get the file again: what isn't there can't be repaired")
}

extension RepairReport {
  init(_ survey: ShardSurvey, path: String, output: String?, others: [String]) {
    self.path = path
    self.output = output
    faults = survey.faults
    strangers = survey.strangers
    self.others = others
    ties = survey.ties
    tensorCount = survey.homes.count
    byteCount = survey.byteCount
    shards = survey.shards.map(\.name)
  }
}

extension ShardSurvey {
  /// The tensors of a shard that stay in it.
  func kept(in shard: Int) -> [Int] {
    let tensors = shards[shard].reader.tensors
    let left = Set(duplicates.filter { $0.shard == shard }.map(\.tensor))
    return tensors.indices.filter { !left.contains(tensors[$0].name) }
  }

  /// The bytes of all tensors that stay.
  var byteCount: Int {
    shards.indices.reduce(0) { total, shard in
      total + kept(in: shard).reduce(0) { $0 + shards[shard].reader.tensors[$1].byteCount }
    }
  }
}

/// Writes what a survey found.
private struct RepairRun {
  let survey: ShardSurvey
  let folder: String
  let output: String
  let progress: Progress

  func write(overwrites: Bool) throws {
    let companions = try listing().files
    try OutputTarget(output, overwrites: overwrites).checkDirectory(
      holding: companions.map(\.name))
    let needed =
      survey.shards.reduce(0) { $0 + $1.reader.file.byteCount }
      + companions.reduce(0) { $0 + $1.byteCount }
    if let available = Directory.availableBytes(at: output), available < needed {
      throw StorageError(
        .noSpace(neededBytes: needed, availableBytes: available), file: output)
    }
    let directory = try AtomicDirectory(path: output)
    for file in companions { try file.write(into: directory) }
    for shard in survey.shards.indices { try writeShard(shard, into: directory) }
    if survey.shards.count > 1 { try directory.write(index, named: survey.indexName) }
    for input in survey.shards.map(\.reader.file) + companions.compactMap(\.source) {
      try input.checkUnchanged()
    }
    try directory.commit()
  }

  private func writeShard(_ position: Int, into directory: AtomicDirectory) throws {
    let shard = survey.shards[position]
    let file = try directory.file(named: shard.name)
    let kept = survey.kept(in: position)
    guard kept.count < shard.reader.tensors.count else {
      try file.reserve(byteCount: shard.reader.file.byteCount)
      try file.copy(from: shard.reader.file, 0..<shard.reader.file.byteCount, to: 0)
      progress.advance(shard.reader.file.byteCount)
      return
    }
    let writer = try SafetensorsWriter(
      kept.map { shard.reader.tensors[$0] }, metadata: shard.reader.metadata, to: file)
    let places = writer.positions
    for tensor in kept {
      let info = shard.reader.tensors[tensor]
      guard let place = places[info.name] else { continue }
      try writer.transfer(tensor, of: shard.reader, to: place)
      progress.advance(info.byteCount)
    }
    try writer.finish()
  }

  private var index: [UInt8] {
    let shards = survey.shards.indices.map { position in
      let reader = survey.shards[position].reader
      return (
        name: survey.shards[position].name,
        tensors: survey.kept(in: position).map { reader.tensors[$0] }
      )
    }
    return ShardIndex(shards: shards, ties: survey.ties).serialized
  }

  /// What stays behind beside files of tensors that belong to something else.
  func others() throws -> [String] {
    try TrainingDirectory.records(in: folder) + listing().others
  }

  /// What is beside the weights and the index, which is made anew.
  private func listing() throws -> CompanionListing {
    let weights = survey.shards.map(\.name) + survey.strangers + [survey.indexName]
    return try CompanionListing(of: folder, weights: weights.map { folder + "/" + $0 })
  }
}
