internal import GraftCore

/// The rules between an index and its shards.
struct ShardAgreement {
  let index: ShardIndex
  let shards: [any SingleFileReader]
  let path: String

  func check() throws(StorageError) {
    try checkFilesDiffer()
    try checkTensors()
    guard let declared = index.totalByteCount else { return }
    let found = shards.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }
    // Of tensors that are one, some writers count each and some the first.
    let copies = shards.reduce(0) { sum, shard in
      shard.ties.reduce(sum) { $0 + ($1.count - 1) * shard.tensors[$1[0]].byteCount }
    }
    guard declared == found || declared == found - copies else {
      throw mismatch("the total_size (shard-index I-9)", "\(declared) bytes", "\(found)")
    }
  }

  private func checkFilesDiffer() throws(StorageError) {
    var names: [FileIdentity: String] = [:]
    for (name, shard) in zip(index.shards, shards) {
      if let other = names.updateValue(name, forKey: shard.file.identity) {
        throw mismatch(
          "the files of the shards (shard-index I-7)", "two files", "\(other) as \(name)")
      }
    }
  }

  private func checkTensors() throws(StorageError) {
    let placements = index.placements
    var table = NameTable(reserving: placements.count)
    for (position, placement) in placements.enumerated() {
      table.add(NameTable.hash(placement.tensor.utf8), at: position)
    }
    var isThere = [Bool](repeating: false, count: placements.count)
    var surplus: [TensorName] = []
    for (shard, reader) in shards.enumerated() {
      for tensor in reader.tensors {
        let hash = NameTable.hash(tensor.name.utf8)
        let place = table.position(hash) { placements[$0].tensor == tensor.name }
        if let place, placements[place].shard == shard {
          isThere[place] = true
        } else {
          surplus.append(tensor.name)
        }
      }
    }
    let missing = placements.indices.filter { !isThere[$0] }.map { placements[$0].tensor }
    guard missing.isEmpty else {
      throw mismatch(
        "the index (shard-index I-8)", "in their shards: \(list(missing))", "no such tensors",
        missing.first)
    }
    guard surplus.isEmpty else {
      throw mismatch(
        "the index (shard-index I-8)", "only the tensors it names", list(surplus), surplus.first)
    }
  }

  /// The first few names and how many there are.
  private func list(_ names: [TensorName]) -> String {
    let shown = names.prefix(5).map(\.description).joined(separator: ", ")
    return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
  }

  private func mismatch(
    _ subject: String, _ expected: String, _ found: String, _ tensor: TensorName? = nil
  ) -> StorageError {
    StorageError(
      .mismatch(subject: subject, expected: expected, found: found), file: path, tensor: tensor)
  }
}
