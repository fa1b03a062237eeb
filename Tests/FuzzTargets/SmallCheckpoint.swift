import Graft
import GraftCore
import GraftFormats

/// A checkpoint of a few tensors, to be written as a model's directory.
struct SmallCheckpoint {
  private(set) var tensors: [TensorInfo] = []
  var metadata: [MetadataEntry] = []
  var files: [(name: String, text: String)] = []

  /// Adds a tensor, unless the name is taken or there is no such tensor.
  mutating func add(_ name: TensorName, _ dtype: DType = .u8, _ dimensions: [Int] = [1]) {
    guard !tensors.contains(where: { $0.name == name }), let shape = try? Shape(dimensions),
      let tensor = try? TensorInfo(name: name, dtype: dtype, shape: shape)
    else { return }
    tensors.append(tensor)
  }

  /// The checkpoint, written into a folder and opened; nil where safetensors can't hold it.
  func opened(in folder: FolderInMemory) -> OpenedCheckpoint? {
    do {
      let path = folder.path + "/source"
      try Directory.create(path)
      for file in files {
        let parent = file.name.split(separator: "/").dropLast().joined(separator: "/")
        try Directory.create(parent, below: path)
        try AtomicFile.write(Array(file.text.utf8), to: path + "/" + file.name)
      }
      let file = try AtomicFile(path: path + "/model.safetensors")
      let writer = try SafetensorsWriter(tensors, metadata: metadata, to: file.output)
      for (index, tensor) in writer.tensors.enumerated() {
        let bytes = (0..<tensor.byteCount).map { UInt8(truncatingIfNeeded: index * 41 + $0 + 1) }
        try writer.write(bytes, of: index, at: 0)
      }
      try writer.finish()
      try file.commit()
      return try OpenedCheckpoint(path: path)
    } catch {
      return nil
    }
  }

  // MARK: - Made of decisions

  /// Names that one format or another has trouble with, which dots join.
  private static let words = [
    "weight", "bias", "layers", "0", "10", "vars", "dense", "model_weights", "optimizer",
    "optimizer_weights", "top_level_model_weights", "embeddings", "é", "e\u{301}", "%2E", "%25",
    "a/b", "..", "", " ", "_", "weight_1", "\u{1}", "\u{202E}", "__metadata__", "vocabulary",
    "bytes", "ends", "mapping", "weights", "lora_A", "model", "token_embd", "blk", "data.pkl",
    String(repeating: "n", count: 300), String(repeating: "l.", count: 60),
  ]
  private static let keys = [
    "format", "keras.layout", "keras.names", "keras.layer_names", "keras.weight_names",
    "model_config", "keras_version", "general.architecture", "general.alignment", "é", "",
    "layer_names", "backend", "total_size", "weight", "a.b",
  ]
  private static let values = [
    "pt", "weights", "legacy-model", "legacy-weights", "[]", "[\"dense\"]", "{}",
    "{\"dense\": [\"dense/kernel\"]}", "{\"layers/dense/vars\": \"d\"}", "3.0.0", "llama", "é", "",
    "\u{0}", #"{"class_name": "Sequential", "config": []}"#, "32",
  ]
  private static let companions = [
    "config.json", "metadata.json", "README.md", "assets/a.txt", "tokenizer.json",
    "adapter_config.json", "tokenizer_config.json", "a/b/c", "modules.json", "model.h5",
  ]
  private static let texts = [
    "{}", "", "[]", #"{"class_name": "Sequential", "config": {"layers": []}}"#,
    #"{"class_name": "Mine", "config": {}}"#, #"{"architectures": ["LlamaForCausalLM"]}"#,
    #"{"keras_version": "3.12.0"}"#, #"{"peft_type": "LORA", "r": 1, "target_modules": ["a"]}"#,
    #"[{"idx": 0, "name": "0", "path": "0", "type": "x.StaticEmbedding"}]"#,
  ]

  /// A checkpoint with what may be trouble.
  init(_ choices: inout Choices) {
    let dtypes: [DType] = [.f32, .bf16, .u8] + DType.allCases.filter(\.isSafetensorsType)
    for _ in 0...choices.next(6) {
      var words: [String] = []
      for _ in 0...choices.next(4) { words.append(choices.pick(Self.words)) }
      let dtype = choices.pick(dtypes)
      var dimensions: [Int] = []
      for _ in 0..<choices.next(5) { dimensions.append(choices.pick([2, 1, 4, 3, 0, 8])) }
      add(TensorName(words.joined(separator: ".")), dtype, dimensions)
    }
    for _ in 0..<choices.next(4) {
      let entry = MetadataEntry(key: choices.pick(Self.keys), value: choices.pick(Self.values))
      if !metadata.contains(where: { $0.key == entry.key }) { metadata.append(entry) }
    }
    for _ in 0..<choices.next(4) {
      let file = (name: choices.pick(Self.companions), text: choices.pick(Self.texts))
      if !files.contains(where: { $0.name == file.name }) { files.append(file) }
    }
  }

  init() {}
}
