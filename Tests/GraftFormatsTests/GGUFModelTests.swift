import GraftCore
import GraftFormats
import TestSupport
import Testing

/// GGUF models against the transformers models that they were made from.
struct GGUFModelTests {
  static let families = [
    "llama-llama3-rope", "llama-untied-linear-rope", "llama-head-dim", "qwen2", "qwen3",
  ]

  @Test(arguments: families)
  func `every tensor has its name, shape and bits back`(family: String) throws {
    let model = try model(family)
    let golden = try SafetensorsReader(
      path: Repository.path("Fixtures/golden/families/\(family)/model.safetensors"))
    #expect(Set(model.tensors.map(\.name)) == Set(golden.tensors.map(\.name)))
    for (index, tensor) in model.tensors.enumerated() {
      let other = try #require(golden.index(of: tensor.name))
      #expect(tensor.shape == golden.tensors[other].shape)
      let expected = try golden.contents(of: other)
      #expect(try bytes(model, index) == expected.bytes.array, "\(tensor.name)")
    }
  }

  @Test func `any range of a reordered tensor is the same bytes`() throws {
    let model = try model("llama-head-dim")
    let index = try #require(model.index(of: "model.layers.1.self_attn.k_proj.weight"))
    #expect(model.places[index].arrangement != .same)
    #expect(model.extent(of: index) == nil)
    let whole = try bytes(model, index)
    for (start, count) in [(0, 4), (4, 128), (60, 200), (whole.count - 8, 8)] {
      var part = [UInt8](repeating: 0, count: count)
      try part.withMutableRawBytes { (span: inout MutableRawSpan) throws(StorageError) in
        try model.read(index, at: start, into: &span)
      }
      #expect(part == Array(whole[start..<start + count]))
    }
  }

  @Test(arguments: families)
  func `the configuration says what the model's own says`(family: String) throws {
    let config = try json(try model(family), "config.json")
    let name = "Fixtures/golden/families/\(family)/config.json"
    let golden = try JSONValue.parse(Repository.bytes(name), file: name)
    for key in [
      "architectures", "model_type", "hidden_size", "intermediate_size", "num_hidden_layers",
      "num_attention_heads", "num_key_value_heads", "vocab_size", "max_position_embeddings",
      "tie_word_embeddings", "hidden_act",
    ] {
      #expect(config[key] == golden[key], "\(key)")
    }
    // One of the configurations is in the older spelling.
    let rope = golden["rope_parameters"] ?? golden["rope_scaling"] ?? [:]
    let type = rope["rope_type"] ?? rope["type"] ?? "default"
    #expect(config["rms_norm_eps"]?.double == golden["rms_norm_eps"]?.double)
    #expect(config["rope_theta"]?.double == (rope["rope_theta"] ?? golden["rope_theta"])?.double)
    for member in try #require(rope.object).members
    where type != "default" && member.key != "rope_theta" {
      let found = config["rope_scaling"]?[member.key]
      #expect(found?.double == member.value.double && found?.string == member.value.string)
    }
    #expect((config["rope_scaling"] == .null) == (type == "default"))
    #expect(config["torch_dtype"] == "float32")
  }

  @Test func `scores become the merges that transformers makes of them`() throws {
    let tokenizer = try json(try model("llama-head-dim"), "tokenizer.json")
    let name = "Fixtures/golden/gguf/merges.json"
    let golden = try JSONValue.parse(Repository.bytes(name), file: name)
    #expect(golden.array?.count ?? 0 > 20)
    #expect(tokenizer["model"]?["merges"] == golden)
    #expect(tokenizer["model"]?["byte_fallback"] == true)
    #expect(tokenizer["model"]?["vocab"]?["</s>"] == 2)
    #expect(tokenizer["post_processor"]?["single"]?[0]?["SpecialToken"]?["id"] == "<s>")
    #expect(tokenizer["added_tokens"]?.array?.map { $0["id"]?.int } == [0, 1, 2])
  }

  @Test func `control tokens are special and those of users are not`() throws {
    let added = try #require(json(try model("qwen3"), "tokenizer.json")["added_tokens"]?.array)
    #expect(added.map { $0["content"]?.string } == ["<|im_start|>", "<think>"])
    #expect(added.map { $0["special"]?.bool } == [true, false])
  }

  /// Metadata with one value replaced by another of the same length.
  @Test(arguments: [
    ("block_count", [UInt8]([1, 2, 0, 0]), "gguf M-2"),
    ("block_count", [0, 0, 0, 0x80], "gguf M-2"), ("block_count", [3, 0, 0, 0], "gguf M-3"),
    ("block_count", [1, 0, 0, 0], "gguf M-3"), ("attention.head_count", [0, 0, 0, 0], "gguf M-2"),
    ("attention.key_length", [7, 0, 0, 0], "gguf M-2"),
    ("feed_forward_length", [1, 0, 0, 0], "gguf M-3"),
  ])
  func `numbers that make no model are refused`(
    key: String, value: [UInt8], rule: String
  ) throws {
    var bytes = try Repository.bytes("Fixtures/golden/gguf/qwen3.gguf")
    let needle = Array("qwen3.\(key)".utf8) + [4, 0, 0, 0]
    let start = try #require(
      bytes.indices.first { bytes[$0] == needle[0] && bytes[$0...].starts(with: needle) })
    bytes.replaceSubrange(start + needle.count..<start + needle.count + 4, with: value)
    let folder = TemporaryFolder()
    let reader = try GGUFReader(path: folder.write(bytes))
    let error = try #require(throws: StorageError.self) { try GGUFModel(reader) }
    #expect("\(error.reason)".contains(rule), "\(error)")
  }

  private func model(_ family: String) throws -> GGUFModel {
    let path = Repository.path("Fixtures/golden/gguf/\(family).gguf")
    return try GGUFModel(GGUFReader(path: path), as: .f32)
  }

  private func bytes(_ model: GGUFModel, _ index: Int) throws -> [UInt8] {
    try model.contents(of: index).bytes.array
  }

  private func json(_ model: GGUFModel, _ name: String) throws -> JSONValue {
    let file = try #require(model.files.first { $0.name == name })
    return try JSONValue.parse(file.bytes, file: name)
  }
}

extension RawSpan {
  fileprivate var array: [UInt8] { withUnsafeBytes { Array($0) } }
}
