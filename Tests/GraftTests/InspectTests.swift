import Graft
import TestSupport
import Testing

@Suite struct `Inspecting a checkpoint` {
  @Test func `tells the format, the kind, the architecture and the sizes`() throws {
    let inspection = try inspect(OpenedCheckpoint(path: golden("families/llama-bf16")))
    #expect(inspection.format == .safetensors)
    #expect(inspection.kind == .model)
    #expect(inspection.architecture == "LlamaForCausalLM")
    #expect(inspection.byteCount == inspection.tensors.reduce(0) { $0 + $1.info.byteCount })
    #expect(inspection.bytesByDType.map(\.dtype) == [.bf16])
    let json = try JSONValue.parse(inspection.jsonText, file: "json")
    #expect(json["parameterCount"]?.int == inspection.parameterCount)
  }

  @Test func `gives the place of every tensor, where its bytes are`() throws {
    let path = golden("families/llama-bf16/model.safetensors")
    let opened = try OpenedCheckpoint(path: path)
    let file = try InputFile(path: path)
    for place in try inspect(opened).tensors {
      #expect(place.file == "model.safetensors")
      let offset = try #require(place.offset)
      #expect(
        try file.bytes(at: offset, count: place.info.byteCount)
          == opened.reader.bytes(place.info.name))
    }
  }

  @Test(arguments: [
    ("hdf5/tree.h5", ["tree.h5"]), ("gguf/qwen2.gguf", ["qwen2.gguf"]),
    ("word-vectors/glove.txt", ["glove.txt"]), ("numpy/arrays.npz", ["arrays.npz"]),
    ("pytorch/archive.pt", ["archive.pt"]),
    ("safetensors/dtypes.safetensors", ["dtypes.safetensors"]),
    ("keras/model.keras", ["model.keras", "metadata.json", "config.json"]),
    ("lora/llama-tied", ["adapter_model.safetensors", "adapter_config.json"]),
  ])
  func `lists every file, those that hold the tensors first`(path: String, names: [String]) throws {
    let inspection = try inspect(OpenedCheckpoint(path: golden(path)))
    let files = try #require(JSONValue.parse(inspection.jsonText, file: "json")["files"]?.array)
    #expect(files.compactMap { $0["name"]?.string } == names)
    let isFolder = Directory.exists(at: golden(path))
    let first = try InputFile(path: isFolder ? golden(path) + "/" + names[0] : golden(path))
    #expect(files.first?["byteCount"]?.int == first.byteCount)
  }

  @Test(arguments: ["", "/"])
  func `names files from the opened directory on, further below too`(end: String) throws {
    let path = Repository.path("Formats/static-embeddings/accept/sentence-transformers") + end
    let (folder, weights) = ("0_StaticEmbedding/", "model.safetensors")
    let inspection = try inspect(OpenedCheckpoint(path: path))
    #expect(inspection.weightFiles.map(\.name) == [folder + weights])
    #expect(inspection.files.map(\.name).contains(folder + "tokenizer.json"))
    #expect(inspection.tensors.allSatisfy { $0.file == folder + weights })
    let alone = try inspect(OpenedCheckpoint(path: path + "/" + folder + weights))
    #expect(alone.weightFiles.map(\.name) == [weights])
    #expect(alone.tensors.allSatisfy { $0.file == weights })
  }

  @Test func `counts a tied tensor once and says what is tied`() throws {
    let tied = try inspect(OpenedCheckpoint(path: golden("families/llama-tied")))
    #expect(tied.ties == [["model.embed_tokens.weight", "lm_head.weight"]])
    let untied = try inspect(OpenedCheckpoint(path: golden("families/llama-untied-linear-rope")))
    #expect(untied.ties.isEmpty)
  }

  @Test func `tells an adapter's rank, alpha, scaling and modules`() throws {
    let adapter = try #require(
      inspect(OpenedCheckpoint(path: golden("lora/llama-tied"))).adapter)
    #expect(adapter.rank == 8)
    #expect(adapter.alpha == 32)
    #expect(adapter.scaling == 4)
    #expect(
      adapter.modules.sorted() == [
        "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj",
      ])
  }
}

@Suite struct `Folding repeated tensors` {
  private func fold(_ names: [TensorName], _ dtypes: [DType] = []) throws -> [String] {
    let tensors = try names.enumerated().map { index, name in
      try TensorInfo(name: name, dtype: index < dtypes.count ? dtypes[index] : .f32, shape: [2])
    }
    return TensorGroup.fold(tensors).map { "\($0.name) ×\($0.members.count)" }
  }

  @Test func `shows numbers as ranges`() throws {
    #expect(try fold((0..<30).map { TensorName("layers.\($0).w") }) == ["layers.{0…29}.w ×30"])
  }

  @Test func `leaves out what isn't there`() throws {
    #expect(
      try fold([0, 1, 2, 5, 7, 8].map { TensorName("l.\($0).w") }) == ["l.{0…2,5,7,8}.w ×6"])
  }

  @Test func `keeps other dtypes apart`() throws {
    #expect(
      try fold(["l.0.w", "l.1.w", "l.2.w"], [.f32, .bf16, .f32]) == [
        "l.{0,2}.w ×2", "l.1.w ×1",
      ])
  }

  @Test func `doesn't fold numbers that stand inside words, or have leading zeros`() throws {
    #expect(
      try fold(["w1", "w2", "a.01", "a.1", "a..0"]) == [
        "w1 ×1", "w2 ×1", "a.01 ×1", "a.1 ×1", "a..0 ×1",
      ])
  }
}
