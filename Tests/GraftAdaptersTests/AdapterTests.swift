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
    let layout = try layout([
      ("base_model.model.m.embed.lora_embedding_A", .f32, [2, 16]),
      ("base_model.model.m.embed.lora_embedding_B", .f32, [4, 2]),
    ])
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
