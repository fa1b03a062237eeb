internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// Which tensor of one checkpoint is which of another.
struct TensorPairing {
  /// A tensor on both sides.
  struct Pair {
    /// What it is called: as on the first side, but for a copy of a tied tensor.
    let name: TensorName
    /// Its position on the first side.
    let first: Int
    /// Its position on the second side.
    let second: Int
    /// Whether the second side is read as the transpose.
    var isTransposed = false
  }

  private(set) var pairs: [Pair] = []
  private(set) var onlyInFirst: [Int] = []
  private(set) var onlyInSecond: [Int] = []

  /// Pairs tensors by name; what is left over by the names that the architecture's checkpoints have for one tensor, and by the
  /// ties that leave a copy out on one side.
  init(_ left: Side, _ right: Side) {
    var places = right.reader.positions
    for (position, tensor) in left.reader.tensors.enumerated() {
      if let place = places.removeValue(forKey: tensor.name) {
        pairs.append(Pair(name: tensor.name, first: position, second: place))
      } else {
        onlyInFirst.append(position)
      }
    }
    guard !onlyInFirst.isEmpty || !places.isEmpty else { return }
    pairByOtherNames(left, right, &places)
    pairCopies(left, right, &places)
    onlyInSecond = places.values.sorted()
    pairs.sort { $0.first < $1.first }
  }

  /// A checkpoint as it is compared.
  struct Side {
    let reader: any CheckpointReader
    /// The sets of tensors that are one.
    let ties: [[TensorName]]
    let configuration: (any ModelConfiguration)?

    init(_ checkpoint: OpenedCheckpoint, _ reader: any CheckpointReader) throws(StorageError) {
      self.reader = reader
      ties = checkpoint.ties(try checkpoint.json(ifPresent: "config.json") ?? .null)
      configuration = checkpoint.knownConfiguration
    }

    /// The weights that are stored as [in, out], by the configuration.
    var transposedWeights: Set<TensorName> {
      guard let configuration else { return [] }
      return Set(
        configuration.linearModules.filter(\.isStoredTransposed).flatMap {
          configuration.storedNames(of: $0.weight)
        })
    }
  }

  private mutating func pairByOtherNames(
    _ left: Side, _ right: Side, _ places: inout [TensorName: Int]
  ) {
    guard let configuration = left.configuration ?? right.configuration, !places.isEmpty else {
      return
    }
    var owners: [TensorName: TensorName] = [:]
    for tensor in configuration.tensors {
      for name in configuration.storedNames(of: tensor.name) { owners[name] = tensor.name }
    }
    var others: [TensorName: TensorName] = [:]
    for name in places.keys {
      if let owner = owners[name] { others[owner] = name }
    }
    onlyInFirst.removeAll { position in
      let name = left.reader.tensors[position].name
      guard let owner = owners[name], let other = others[owner],
        let place = places.removeValue(forKey: other)
      else { return false }
      pairs.append(Pair(name: name, first: position, second: place))
      return true
    }
  }

  /// A copy that one side stores and the other ties is compared with the tensor that counts there.
  private mutating func pairCopies(
    _ left: Side, _ right: Side, _ places: inout [TensorName: Int]
  ) {
    let originals = Dictionary(
      right.ties.flatMap { tie in tie.dropFirst().map { ($0, tie[0]) } },
      uniquingKeysWith: { first, _ in first })
    let stored = TensorLookup(right.reader.tensors, for: min(originals.count, onlyInFirst.count))
    onlyInFirst.removeAll { position in
      let name = left.reader.tensors[position].name
      guard let original = originals[name], let place = stored.position(of: original) else {
        return false
      }
      pairs.append(Pair(name: name, first: position, second: place))
      return true
    }
    guard !places.isEmpty else { return }
    let kept = TensorLookup(left.reader.tensors, for: left.ties.count)
    for tie in left.ties {
      guard let first = kept.position(of: tie[0]) else { continue }
      for copy in tie.dropFirst() {
        guard let place = places.removeValue(forKey: copy) else { continue }
        pairs.append(Pair(name: copy, first: first, second: place))
      }
    }
  }
}
