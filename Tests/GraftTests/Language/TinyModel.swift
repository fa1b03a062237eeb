import Graft
import GraftFormats
import GraftKernels
import Testing

/// A tiny random model of Fixtures/golden/families with an adapter of Fixtures/golden/lora, and what PyTorch computed.
struct TinyModel {
  let architecture: any DecoderArchitecture
  let weights: ModelWeights
  let adapter: Adapter
  let values: SafetensorsReader
  let kernels: Kernels
  let precision: ComputePrecision

  init(_ name: String, precision: ComputePrecision = .f32, threads: Int = 2) throws {
    let folder = golden("families/\(name)")
    let file = folder + "/config.json"
    architecture = try KnownArchitectures.decoder(
      try JSONValue.parse(try InputFile.contents(of: file, atMost: 1 << 20), file: file),
      file: file)
    kernels = Kernels(pool: ThreadPool(threadCount: threads))
    weights = try ModelWeights(
      try SafetensorsReader(path: folder + "/model.safetensors"), needed: architecture.tensors,
      precision: precision, kernels: kernels)
    adapter = try OpenedCheckpoint(path: golden("lora/\(name)")).adapter()
    values = try SafetensorsReader(path: golden("lora/\(name)/golden.safetensors"))
    self.precision = precision
  }

  /// The values of a golden tensor.
  func floats(_ name: String) throws -> [Float] { try values.tensor(TensorName(name)).floats() }

  /// The token ids of a golden tensor.
  func ids(_ name: String) throws -> [Int32] {
    try values.bits(TensorName(name), as: Int32.self)
  }

  /// A trainer that starts from the golden adapter, and drops what `dropout` says.
  func trainer(_ settings: TrainingSettings, dropout: Double = 0) throws -> Trainer {
    var adapter = adapter
    adapter.configuration.dropout = dropout
    let attached = AttachedAdapters(adapter)
    let model = DecoderGraph(
      architecture, weights: weights, precision: precision, adapters: attached.pairs)
    return try Trainer(
      model,
      trainable: try TrainableTensors(
        attached.tensors.map { (name: $0, value: $1) }, optimizer: settings.optimizer,
        loraPlusRatio: settings.loraPlusRatio),
      settings: settings, kernels: kernels)
  }

  /// A batch in which every token but the first of each row is predicted, unless `labels` says less.
  static func batch(_ ids: [Int32], labels: [Int32]? = nil, sequence: Int) -> Batch {
    let labels = labels ?? ids
    let targets = ids.indices.map { position in
      let next = position + 1
      return next % sequence == 0 ? TokenWindows.ignored : max(labels[next], TokenWindows.ignored)
    }
    return Batch(ids: ids, targets: targets, sequence: sequence)
  }

  /// PEFT's name of a trained tensor.
  static func goldenName(_ name: TensorName) -> String { "base_model.model." + name.text }
}

/// ‖a − b‖ / ‖b‖.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
  let difference = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
  let size = b.reduce(0.0) { $0 + Double($1 * $1) }
  return (difference / max(size, 1e-300)).squareRoot()
}
