internal import GraftFormats

/// What a killed run needs to go on as if nothing had happened.
///
/// `training_state/state.safetensors` holds adapter values and moments in f32; `state.json` the position and the settings that must
/// not change.
struct TrainingState: Sendable {
  let position: TrainingPosition
  /// The settings that decide the run's numbers, by name.
  let fingerprint: [(name: String, value: String)]
  let tensors: [(name: TensorName, value: MemorySlice)]

  private static let tensorFile = "state.safetensors"
  private static let positionFile = "state.json"

  init(
    position: TrainingPosition, fingerprint: [(name: String, value: String)],
    tensors: [(name: TensorName, value: MemorySlice)]
  ) {
    self.position = position
    self.fingerprint = fingerprint
    self.tensors = tensors
  }

  /// Reads the settings of a run alone.
  static func settings(in folder: String) throws -> [(name: String, value: String)] {
    settings(try positionJSON(in: folder).json)
  }

  private static func positionJSON(in folder: String) throws -> (json: JSONValue, file: String) {
    let name = folder + "/" + positionFile
    let bytes = try InputFile.contents(of: name, atMost: 1 << 20)
    return (try JSONValue.parse(bytes, file: name), name)
  }

  private static func settings(_ json: JSONValue) -> [(name: String, value: String)] {
    (json["settings"]?.object?.members ?? []).map { ($0.key, $0.value.string ?? "") }
  }

  /// Reads the state of a run.
  init(reading folder: String) throws {
    let (json, name) = try Self.positionJSON(in: folder)
    func number(_ key: String) throws -> Int {
      guard let value = json[key]?.int, value >= 0 else {
        throw TrainingError(
          .damagedState(
            expected: "\(key) as a number",
            found: json[key]?.serialized(indent: nil) ?? "nothing"), file: name,
          remedy: TrainingError.remedyOfDamage)
      }
      return value
    }
    var position = TrainingPosition(
      step: try number("step"), windowsTaken: try number("windowsTaken"),
      tokenCount: try number("tokenCount"))
    position.batchesTaken = try number("batchesTaken")
    position.lossSum = json["lossSum"]?.double ?? 0
    if let loss = json["bestLoss"]?.double {
      position.best = TrainingPosition.Best(step: try number("bestStep"), loss: loss)
    }
    position.validationsSinceBest = try number("validationsSinceBest")
    self.position = position
    fingerprint = Self.settings(json)
    let reader = try SafetensorsReader(path: folder + "/" + Self.tensorFile)
    tensors = try reader.tensors.indices.map { index in
      (reader.tensors[index].name, try reader.contents(of: index))
    }
  }

  /// Writes the state as a directory that appears whole.
  func write(to path: String) throws {
    let directory = try AtomicDirectory(path: path)
    let infos = try tensors.map {
      try TensorInfo(name: $0.name, dtype: .f32, shape: $0.value.shape)
    }
    let writer = try SafetensorsWriter(infos, to: try directory.file(named: Self.tensorFile))
    let values = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.value) })
    for (index, info) in writer.tensors.enumerated() {
      guard let value = values[info.name] else { continue }
      try writer.write(value.bytes, of: index, at: 0)
    }
    try writer.finish()
    let settings = fingerprint.map { (key: $0.name, value: JSONValue.string($0.value)) }
    var members: [(key: String, value: JSONValue)] = [
      ("step", JSONValue(position.step)), ("windowsTaken", JSONValue(position.windowsTaken)),
      ("tokenCount", JSONValue(position.tokenCount)),
      ("batchesTaken", JSONValue(position.batchesTaken)),
      ("lossSum", JSONValue(position.lossSum)),
      ("validationsSinceBest", JSONValue(position.validationsSinceBest)),
    ]
    if let best = position.best {
      members += [("bestStep", JSONValue(best.step)), ("bestLoss", JSONValue(best.loss))]
    }
    members.append(("settings", .object(JSONObject(members: settings))))
    let json = JSONValue.object(JSONObject(members: members))
    try directory.write(Array(json.serialized().utf8), named: Self.positionFile)
    try directory.commit()
  }

  /// Checks that the run has the saved one's settings.
  ///
  /// - Throws: ``TrainingError/Reason/stateMismatch(setting:expected:found:)``.
  private func check(_ current: [(name: String, value: String)]) throws(TrainingError) {
    let saved = Dictionary(fingerprint.map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
    let given = Dictionary(current.map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
    for name in (current + fingerprint).map(\.name) where saved[name] != given[name] {
      throw TrainingError(
        .stateMismatch(
          setting: name, expected: saved[name] ?? "nothing", found: given[name] ?? "nothing"),
        remedy: "resume with the options, the model and the data of the saved run")
    }
  }

  /// Puts the saved values back into a run's tensors.
  ///
  /// - Throws: ``TrainingError/Reason/stateMismatch(setting:expected:found:)`` when the run isn't the saved one.
  func restore(
    _ target: [(name: TensorName, value: MemorySlice)],
    fingerprint current: [(name: String, value: String)]
  ) throws {
    try check(current)
    let values = Dictionary(tensors.map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
    for (name, slice) in target {
      guard let value = values[name], value.shape == slice.shape, value.dtype == .f32 else {
        throw TrainingError(
          .stateMismatch(
            setting: "set of trained tensors", expected: "\(name) \(slice.shape)",
            found: values[name].map { "\($0.dtype) \($0.shape)" } ?? "nothing"))
      }
      slice.replaceBytes(value.bytes)
    }
    let names = Set(target.map(\.name))
    if let other = tensors.first(where: { !names.contains($0.name) }) {
      throw TrainingError(
        .stateMismatch(
          setting: "set of trained tensors", expected: "\(other.name) \(other.value.shape)",
          found: "nothing"))
    }
  }
}
