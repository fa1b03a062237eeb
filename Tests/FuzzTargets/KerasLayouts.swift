import Graft
import GraftCore
import GraftHDF5

extension FuzzTarget {
  /// A model of Keras made of decisions, as an archive.
  ///
  /// Accepted: the legacy file that it becomes is the same archive again, and that one the same legacy file; or one that says why not.
  static let kerasLayouts = FuzzTarget(
    "keras-layouts",
    decisions: { bytes in
      var choices = Choices(bytes)
      let folders = (0..<6).map { _ in FolderInMemory() }
      guard let source = SmallCheckpoint(kerasModel: &choices).opened(in: folders[0]),
        let archive = try? converted(source, to: .archive, folders[1]),
        let legacy = try? converted(archive, to: .legacy, folders[2])
      else { return }
      do {
        for (target, folder) in [(ConversionTarget.weights, folders[3]), (.archive, folders[4])] {
          guard let found = try converted(legacy, to: target, folder) else { return }
          promise(contents(found) == contents(archive), "the variables are the same again")
          guard target.name == ConversionTarget.archive.name,
            let back = try converted(found, to: .legacy, folders[5])
          else { continue }
          promise(back.reader.tensors == legacy.reader.tensors, "the legacy file is the same again")
          promise(contents(back) == contents(legacy), "with the same weights")
        }
      } catch {
        fatalError("what came from Keras 3's layout leads back to it: \(error)")
      }
      withExtendedLifetime(folders) {}
    })

  /// The tensors with their bytes, by name.
  private static func contents(_ checkpoint: OpenedCheckpoint) -> [TensorName: [UInt8]] {
    do {
      var result: [TensorName: [UInt8]] = [:]
      for (index, tensor) in checkpoint.reader.tensors.enumerated() {
        result[tensor.name] = try bytes(of: index, in: checkpoint.reader)
      }
      return result
    } catch {
      fatalError("what was accepted can be read: \(error)")
    }
  }
}

extension SmallCheckpoint {
  private static let classes = [
    "Dense", "Functional", "Sequential", "Mine", "MultiHeadAttention", "LSTM", "Bidirectional",
    "TimeDistributed", "BatchNormalization", "Normalization", "StackedRNNCells", "RNN", "LSTMCell",
    "EinsumDense", "InputLayer", "Embedding", "dense_1", "MineMine", "PReLU", "GRU", "Model",
    "SeparableConv1D", "Dropout",
  ]
  private static let names = [
    "d", "dense", "dense_1", "forward_d", "backward_d", "layer", "lstm_cell", "query", "kernel",
    "a/b", "/", "", ".", "vars", "optimizer_weights", "top_level_model_weights", "é", "layers", "0",
    "model_weights", "optimizer",
  ]
  private static let switches: [JSONValue] = [false, nil, true, "e", []]
  /// Variables that no known class makes.
  private static let others: [TensorName] = [
    "layers.mine.vars.0", "layers.mine.vars.1", "layers.mine.vars.10", "layers.mine_1.vars.0",
    "layers.dense.vars.7", "layers.dense.vars.named", "layers.functional.layers.mine.vars.0",
    "layers.sequential.layers.mine.vars.0", "layers.dropout.seed_generator.vars.0",
    "layers.functional.vars.0", "layers.mine_mine.vars.0", "vars.1", "layers.nobody.vars.0",
  ]

  /// A model with its variables, now and then one too many or too few.
  init(kerasModel choices: inout Choices) {
    self.init()
    let className = choices.pick(["Functional", "Sequential"])
    var model = Self.layer(&choices, depth: 3, className: className)
    if choices.isOneIn(2) {
      model.append(
        (
          "compile_config",
          [
            "optimizer": [
              "class_name": "Adam", "config": ["name": .string(choices.pick(Self.names))],
            ]
          ]
        ))
    }
    let description = JSONValue.object(JSONObject(members: model))
    files = [("config.json", description.serialized(indent: nil))]
    let names = KerasModel(description)?.variables?.names ?? []
    for name in names.prefix(60) where !choices.isOneIn(40) { add(name) }
    for _ in 0..<choices.next(4) { add(choices.pick(Self.others)) }
    for number in 0..<choices.next(4) { add(TensorName("optimizer.vars.\(number)")) }
    if choices.isOneIn(4) { add("vars.0") }
  }

  /// The description of a layer with those inside.
  private static func layer(
    _ choices: inout Choices, depth: Int, className: String? = nil
  ) -> [(key: String, value: JSONValue)] {
    let className = className ?? choices.pick(classes)
    var members: [(key: String, value: JSONValue)] = []
    if !choices.isOneIn(8) { members.append(("name", .string(choices.pick(names)))) }
    if choices.isOneIn(4) { members.append(("trainable", choices.pick([false, true]))) }
    for key in ["use_bias", "bias_axes", "scale", "mean"] where choices.isOneIn(8) {
      members.append((key, choices.pick(switches)))
    }
    func inner(_ choices: inout Choices) -> JSONValue {
      .object(JSONObject(members: layer(&choices, depth: depth - 1)))
    }
    func list(_ choices: inout Choices) -> JSONValue {
      var elements: [JSONValue] = []
      for _ in 0..<(depth > 0 ? 1 + choices.next(4) : 0) { elements.append(inner(&choices)) }
      return .array(elements)
    }
    switch className {
    case "Functional", "Sequential", "Model": members.append(("layers", list(&choices)))
    case "StackedRNNCells": members.append(("cells", list(&choices)))
    case "RNN" where depth > 0: members.append(("cell", inner(&choices)))
    case "Bidirectional" where depth > 0, "TimeDistributed" where depth > 0:
      members.append(("layer", inner(&choices)))
      if choices.isOneIn(4) { members.append(("backward_layer", inner(&choices))) }
    default: break
    }
    var result: [(key: String, value: JSONValue)] = [
      ("class_name", .string(className)),
      ("config", .object(JSONObject(members: members))),
    ]
    if choices.isOneIn(16) { result.append(("module", "keras.src.ops.numpy")) }
    return result
  }
}
