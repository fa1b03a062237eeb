import Graft
import GraftCore
import GraftGraph
import GraftKernels
import GraftModels

/// Writes the logits of a sequence as a directory with one tensor, `logits`: [tokens, vocabulary], f32.
struct Logits {
  let model: String
  /// A JSON array of token ids.
  let ids: String
  let output: String
  let precision: ComputePrecision
  let adapter: String?

  func run() throws {
    let model = try LanguageModel(self.model, precision: precision)
    let ids = try tokens()
    let adapters = try adapter.map { [try OpenedCheckpoint(path: $0).adapter()] } ?? []
    let attached = try AttachedAdapters(adapters, base: model)
    let builder = try model.graph(attached)

    let arrangement = Arrangement.sequences(batch: 1, sequence: ids.count)
    var graph = Graph()
    let hidden = builder.hiddenStates(in: &graph, arrangement)
    let logits = graph.matmul(
      hidden, transposed: false, builder.head(in: &graph), transposed: true, dtype: .f32)
    let executable = try Executable(
      graph, outputs: [logits], options: CompilerOptions(), kernels: model.kernels)

    var bindings = try builder.weights.tensors.merging(attached.tensors) { _, new in new }
    bindings.merge(try builder.constantInputs(arrangement)) { _, new in new }
    bindings[DecoderGraph.Input.tokens] = try MemorySlice(copying: ids, [ids.count])
    try executable.run(bindings: bindings)
    try write(executable.output(logits))
  }

  private func tokens() throws -> [Int32] {
    let json = try JSONValue.parse(
      try InputFile.contents(of: ids, atMost: 1 << 24), file: ids)
    guard let numbers = json.array?.map(\.int), !numbers.isEmpty else {
      fail("\(ids) isn't a JSON array of token ids")
    }
    return numbers.map { Int32($0 ?? 0) }
  }

  private func write(_ logits: MemorySlice) throws {
    let info = try TensorInfo(name: "logits", dtype: .f32, shape: logits.shape)
    let directory = try AtomicDirectory(path: output)
    let writer = try SafetensorsWriter([info], to: directory.file(named: "model.safetensors"))
    try writer.write(logits.bytes, of: 0, at: 0)
    try writer.finish()
    try directory.commit()
  }
}
