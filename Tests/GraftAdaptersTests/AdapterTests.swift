import GraftAdapters
import GraftCore
import Testing

struct AdapterTests {
  private let configuration = LoRAConfiguration(rank: 2, alpha: 4, targetModules: ["q"])

  private func layout(_ tensors: [(String, DType, Shape)]) throws -> AdapterLayout {
    try AdapterLayout(MemoryCheckpoint(tensors), configuration)
  }

  @Test(arguments: [
    "base_model.model.m.q.lora_A.weight", "m.q.lora_A.weight",
    "base_model.model.m.q.lora_A.default.weight", "_orig_mod.base_model.model.m.q.lora_A.weight",
    "module.base_model.model.m.q.lora_A.weight",
  ])
  func `names are read in every spelling that PEFT has used`(nameOfA: String) throws {
    let layout = try layout([
      (nameOfA, .f32, [2, 4]), ("base_model.model.m.q.lora_B.weight", .f32, [8, 2]),
    ])
    #expect(layout.modules.map(\.path) == ["m.q"])
    #expect(layout.modules[0].scaling == 2)
    #expect(layout.modules[0].productShape == [8, 4])
  }

  @Test(arguments: [
    "base_model.model.m.embed.weight", "base_model.model.m.embed.modules_to_save.default.weight",
    "base_model.model.m.embed.base_layer.weight", "m.embed.weight",
  ])
  func `saved modules are read in every spelling`(name: String) throws {
    let layout = try layout([(name, .f32, [3, 4])])
    #expect(layout.savedTensors.map(\.name) == ["m.embed.weight"])
  }

  @Test func `embeddings have factors without a suffix`() throws {
    let checkpoint = try MemoryCheckpoint([
      ("base_model.model.m.embed.lora_embedding_A", .f32, [2, 16]),
      ("base_model.model.m.embed.lora_embedding_B", .f32, [4, 2]),
    ])
    let layout = try AdapterLayout(
      checkpoint, LoRAConfiguration(rank: 2, alpha: 4, targetModules: ["embed"]))
    #expect(layout.modules.map(\.kind) == [.embedding])
    #expect(layout.modules[0].productShape == [4, 16])
  }

  @Test(
    arguments: [
      ([("m.q.lora_A.weight", [2, 4])], .missingHalf(module: "m.q", part: "B")),
      ([("m.q.lora_B.weight", [8, 2])], .missingHalf(module: "m.q", part: "A")),
      (
        [("m.q.lora_A.weight", [2, 4]), ("m.q.lora_B.weight", [8, 3])],
        .rankMismatch(module: "m.q", a: [2, 4], b: [8, 3])
      ),
      (
        [("m.q.lora_A.weight", [3, 4]), ("m.q.lora_B.weight", [8, 3])],
        .unexpectedRank(module: "m.q", configured: 2, found: 3)
      ),
      (
        [("m.q.lora_A.weight", [2, 4]), ("m.q.lora_A.default.weight", [2, 4])],
        .duplicateTensor(name: "m.q.lora_A.default.weight")
      ),
      (
        [("m.q.lora_magnitude_vector", [8])],
        .unsupportedOption(key: "use_dora", found: "m.q.lora_magnitude_vector")
      ),
      (
        [("m.q.lora_B.bias", [8])],
        .unsupportedOption(key: "lora_bias", found: "m.q.lora_B.bias")
      ),
      ([("optimizer.state", [8])], .unexpectedTensor(name: "optimizer.state")),
      ([], .empty),
    ] as [([(String, Shape)], AdapterError.Reason)])
  func `a defective adapter is refused by name`(
    tensors: [(String, Shape)], reason: AdapterError.Reason
  ) {
    #expect(throws: AdapterError(reason, file: "adapter_model.safetensors")) {
      try layout(tensors.map { ($0, .f32, $1) })
    }
  }

  /// Pairs of `q`, `v`, the head and the embedding in two layers, under configurations whose verdicts are those of PEFT's
  /// `check_target_module_exists`; none where all are targeted.
  @Test(
    arguments: [
      (#"{"target_modules": ["q", "v", "lm_head"]}"#, nil, 0),
      (#"{"target_modules": ["m.layers.0.v", "q", "lm_head"]}"#, "m.layers.1.v", 1),
      (#"{"target_modules": ["q", "lm_head"]}"#, "m.layers.0.v", 2),
      (#"{"target_modules": ["roj", "lm_head"]}"#, "m.layers.0.q", 4),
      (#"{"target_modules": ".*\\.(q|v)|lm_head"}"#, nil, 0),
      (#"{"target_modules": "layers\\.0\\..*"}"#, "m.layers.0.q", 5),
      (#"{"target_modules": ".*", "exclude_modules": ["v"]}"#, "m.layers.0.v", 2),
      (#"{"target_modules": ".*", "exclude_modules": ".*1.*"}"#, "m.layers.1.q", 2),
      (#"{"target_modules": ".*", "modules_to_save": ["lm_head"]}"#, "lm_head", 1),
      (
        #"{"target_modules": ["q", "v", "lm_head"], "layers_to_transform": [0]}"#,
        "m.layers.1.q", 2
      ),
      (
        #"{"target_modules": ["q", "v", "lm_head"], "layers_to_transform": 1, "layers_pattern": "h"}"#,
        "m.layers.0.q", 4
      ),
      (#"{"target_modules": "all-linear"}"#, "lm_head", 1),
      (#"{"target_modules": null}"#, nil, 0),
    ] as [(String, String?, Int)])
  func `a pair of a module that the configuration doesn't target is refused`(
    text: String, first: String?, count: Int
  ) throws {
    let paths = ["m.layers.0.q", "m.layers.0.v", "m.layers.1.q", "m.layers.1.v", "lm_head"]
    let checkpoint = try MemoryCheckpoint(
      paths.flatMap { path in
        [
          (path + ".lora_A.weight", DType.f32, [8, 4] as Shape),
          (path + ".lora_B.weight", DType.f32, [4, 8] as Shape),
        ]
      })
    let configuration = try LoRAConfiguration(
      try JSONValue.parse(Array(text.utf8), file: "adapter_config.json"),
      file: "adapter_config.json")
    guard let first else {
      #expect(try AdapterLayout(checkpoint, configuration).modules.map(\.path) == paths)
      return
    }
    #expect(
      throws: AdapterError(
        .untargeted(module: first, count: count, pairCount: 5), file: "adapter_model.safetensors")
    ) { try AdapterLayout(checkpoint, configuration) }
  }

  @Test func `integers aren't factors`() {
    #expect(
      throws: AdapterError(
        .notFloat(tensor: "m.q.lora_A.weight", dtype: .i32), file: "adapter_model.safetensors")
    ) { try layout([("m.q.lora_A.weight", .i32, [2, 4])]) }
  }

  @Test(arguments: [
    (DType.bf16, [0x80, 0x3F, 0x00, 0xC0] as [UInt8]), (.f16, [0x00, 0x3C, 0x00, 0xC0]),
    (.f32, [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]),
    (.f64, [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0]),
  ])
  func `factors of any float become f32`(dtype: DType, bytes: [UInt8]) throws {
    var checkpoint = try MemoryCheckpoint([
      ("m.q.lora_A.weight", dtype, [1, 2]), ("m.q.lora_B.weight", dtype, [2, 1]),
    ])
    checkpoint.values = ["m.q.lora_A.weight": bytes]
    var configuration = configuration
    configuration.rank = 1
    let adapter = try Adapter(reading: checkpoint, configuration: configuration)
    #expect(adapter.modules[0].a.floats() == [1, -2])
    #expect(adapter.modules[0].a.dtype == .f32)
    #expect(
      adapter.checkpointTensors.map(\.name) == [
        "base_model.model.m.q.lora_A.weight", "base_model.model.m.q.lora_B.weight",
      ])
  }

  @Test func `a fresh adapter is uniform in A and changes nothing`() throws {
    let module = LinearModule(path: "m.q", outputWidth: 8, inputWidth: 4)
    let targets = try configuration.targets(in: [module])
    var streams: [UInt64] = []
    let adapter = try Adapter.initialized(configuration, for: targets) { stream, values in
      streams.append(stream)
      for index in values.indices { values[index] = Float(index) / Float(values.count) }
    }
    #expect(streams.count == 1)
    #expect(adapter.modules[0].a.shape == [2, 4])
    #expect(adapter.modules[0].b.shape == [8, 2])
    #expect(adapter.modules[0].a.floats() == [-0.5, -0.375, -0.25, -0.125, 0, 0.125, 0.25, 0.375])
    #expect(adapter.modules[0].b.floats().allSatisfy { $0 == 0 })
    #expect(adapter.modules[0].scaling == 2)
  }
}
