import Foundation
import Graft
import GraftFormats
import TestSupport
import Testing

/// Model directories made into GGUF, and back.
@Suite struct `Writing GGUF` {
  private let workspace = TemporaryFolder()

  private func export(
    _ source: String, to name: String = "model.gguf", _ mixture: GGUFMixture? = nil,
    limit: Int? = nil, threads: Int = 2, allowsLoss: Bool = true
  ) throws -> ConversionReport {
    var options = ConversionOptions(
      form: .gguf(mixture, maximumShardByteCount: limit), threadCount: threads)
    options.allowsLoss = allowsLoss
    return try convert(OpenedCheckpoint(path: source), to: workspace(name), options: options)
  }

  private func json(_ opened: OpenedCheckpoint, _ name: String) throws -> JSONValue {
    try JSONValue.parse(opened.requiredFile(name), file: name)
  }

  /// A family's golden model; what its fixture has that GGUF can't say made what it can.
  private func model(_ family: String) throws -> String {
    let path = try workspace.copy(golden("families/" + family), to: family)
    try? FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    let file = URL(filePath: path + "/config.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try text.replacing(#""query_pre_attn_scalar": 10"#, with: #""query_pre_attn_scalar": 12"#)
      .write(to: file, atomically: true, encoding: .utf8)
    return path
  }

  @Test(arguments: [
    "llama-bf16", "llama-head-dim", "llama-llama3-rope", "llama-tied", "llama-untied-linear-rope",
    "mistral", "mistral-window", "qwen2", "qwen3", "gemma3", "gpt2",
  ])
  func `a model comes back with its names, shapes, bits and configuration`(family: String) throws {
    let source = try OpenedCheckpoint(path: try model(family))
    _ = try export(source.path)
    _ = try convert(OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"))
    let back = try OpenedCheckpoint(path: workspace("back"))
    #expect(Set(back.reader.tensors.map(\.name)) == Set(source.reader.tensors.map(\.name)))
    for tensor in source.reader.tensors {
      let index = try #require(back.reader.index(of: tensor.name))
      let other = back.reader.tensors[index]
      #expect(other.shape == tensor.shape, "\(tensor.name)")
      let isShifted = family == "gemma3" && tensor.name.text.hasSuffix("norm.weight")
      if other.dtype == tensor.dtype, !isShifted {
        let same = try back.reader.bytes(tensor.name) == source.reader.bytes(tensor.name)
        #expect(same, "\(tensor.name)")
      } else if other.dtype == .f32, tensor.dtype == .bf16 {
        // Vectors are f32 in GGUF: the same values.
        let wide = try source.reader.bits(tensor.name, as: UInt16.self).map { UInt32($0) << 16 }
        #expect(try back.reader.bits(tensor.name, as: UInt32.self) == wide, "\(tensor.name)")
      } else {
        // 1 + w rounds to f32, and w comes back from that.
        let values = try zip(
          back.reader.bits(tensor.name, as: UInt32.self),
          source.reader.bits(tensor.name, as: UInt32.self)
        ).map { (Float(bitPattern: $0), Float(bitPattern: $1)) }
        #expect(isShifted && values.allSatisfy { $0 == ($1 + 1) - 1 }, "\(tensor.name)")
      }
    }
    let (before, after) = (try json(source, "config.json"), try json(back, "config.json"))
    for key in [
      "architectures", "model_type", "hidden_size", "intermediate_size", "num_hidden_layers",
      "num_attention_heads", "num_key_value_heads", "vocab_size", "max_position_embeddings",
      "tie_word_embeddings", "sliding_window", "layer_types", "n_embd", "n_head", "n_layer",
      "n_positions", "bos_token_id", "eos_token_id",
    ] where before[key] != nil && after[key] != nil {
      // Mistral without a window is Llama, and GGUF knows no other name.
      let expected: JSONValue? =
        family != "mistral"
        ? before[key]
        : key == "model_type"
          ? "llama" : key == "architectures" ? ["LlamaForCausalLM"] : before[key]
      #expect(after[key] == expected, "\(key)")
    }
    // What both compute with is the same, key by key.
    let first = try KnownArchitectures.configuration(before, file: "before")
    let second = try KnownArchitectures.configuration(after, file: "after")
    let spelled =
      family == "mistral"
      ? "\(first)".replacing("Member.mistral", with: "Member.llama") : "\(first)"
    #expect(spelled == "\(second)")
  }

  @Test(arguments: [
    "llama-llama3-rope", "llama-untied-linear-rope", "llama-head-dim", "qwen2", "qwen3",
  ])
  func `tensors and numbers are those of the gguf package's file`(family: String) throws {
    _ = try export(golden("families/" + family))
    let ours = try GGUFReader(path: workspace("model.gguf"))
    let theirs = try GGUFReader(path: golden("gguf/\(family).gguf"))
    #expect(Set(ours.tensors) == Set(theirs.tensors))
    for tensor in theirs.tensors where tensor.name != "rope_freqs.weight" {
      #expect(try ours.bytes(tensor.name) == theirs.bytes(tensor.name), "\(tensor.name)")
    }
    let architecture = try #require(theirs["general.architecture"]?.string)
    for (key, value) in theirs.entries where key.hasPrefix(architecture + ".") {
      #expect(ours[key] == value, "\(key)")
    }
  }

  @Test func `a real tokenizer, its template and its metadata come back`() throws {
    let report = try export(fixture("model"))
    #expect(report.losses.map(\.what) == ["training_log.txt"])
    #expect(
      report.notes.map(\.what) == [
        "bookkeeping of config.json: attention_dropout, initializer_range, pretraining_tp, transformers_version, use_cache",
        "bookkeeping of generation_config.json: transformers_version",
      ])
    let file = try GGUFReader(path: workspace("model.gguf"))
    #expect(file["tokenizer.ggml.pre"] == .string("gpt-2"))
    #expect(file["tokenizer.ggml.eos_token_id"] == .unsigned(0, bits: 32))
    #expect(file["general.file_type"] == .unsigned(32, bits: 32))
    #expect(file["general.name"] == .string("model"))
    _ = try convert(OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"))
    let (source, back) = (
      try OpenedCheckpoint(path: fixture("model")), try OpenedCheckpoint(path: workspace("back"))
    )
    let (before, after) = (try json(source, "tokenizer.json"), try json(back, "tokenizer.json"))
    for key in ["model", "pre_tokenizer", "added_tokens", "normalizer"] {
      #expect(before[key]?["vocab"] == after[key]?["vocab"])
      #expect(before[key]?["merges"] == after[key]?["merges"])
      if key != "model" { #expect(before[key] == after[key], "\(key)") }
    }
  }

  /// Tokenizers of every kind on the text that the `tokenizers` package cut.
  @Test(arguments: ["gpt2", "smollm", "llama3", "qwen2"])
  func `ids after the way through GGUF are those before`(name: String) throws {
    let path = try tiny(tokenizer: name)
    _ = try export(path)
    _ = try convert(OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"))
    let text = try String(contentsOfFile: golden("tokenizers/corpus.txt"), encoding: .utf8)
    let files = [path, workspace("back")].map { $0 + "/tokenizer.json" }
    let ids = try files.map { file in
      let tokenizer = try Tokenizer(
        tokenizerJSON: Array(Data(contentsOf: URL(filePath: file))), file: file)
      return text.split(separator: "\n").map { tokenizer.encode(String($0)) }
    }
    #expect(ids[0].count > 20)
    #expect(ids[0] == ids[1])
  }

  @Test func `merges come back from scores, and a tokenizer whose don't is refused`() throws {
    let path = golden("gguf/llama-head-dim.gguf")
    _ = try convert(OpenedCheckpoint(path: path), to: workspace("model"))
    _ = try export(workspace("model"))
    let (before, after) = (
      try GGUFReader(path: path), try GGUFReader(path: workspace("model.gguf"))
    )
    for key in ["model", "add_bos_token", "bos_token_id", "eos_token_id"] {
      #expect(after["tokenizer.ggml." + key] == before["tokenizer.ggml." + key], "\(key)")
    }
    // Rows of the embedding table without a token have one that says so.
    guard case .array(.strings(let old)) = before["tokenizer.ggml.tokens"],
      case .array(.strings(let new)) = after["tokenizer.ggml.tokens"],
      case .array(.signed(let kinds, 32)) = before["tokenizer.ggml.token_type"],
      case .array(.signed(let types, 32)) = after["tokenizer.ggml.token_type"]
    else {
      Issue.record("no tokens")
      return
    }
    #expect(Array(new.prefix(old.count)) == old)
    #expect(new.count == 64 && new.last == "[PAD63]")
    #expect(types == kinds + [Int64](repeating: 5, count: 64 - old.count))
    #expect(after["tokenizer.ggml.unknown_token_id"] == .unsigned(0, bits: 32))
    _ = try convert(OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("again"))
    let files = ["model", "again"].map { workspace($0) + "/tokenizer.json" }
    let same =
      try Data(contentsOf: URL(filePath: files[0]))
      == Data(contentsOf: URL(filePath: files[1]))
    #expect(same)

    // One that was trained merge by merge: SentencePiece would join pairs that it doesn't.
    let error = #expect(throws: StorageError.self) { try export(try tiny(tokenizer: "llama2")) }
    #expect("\(String(describing: error?.reason))".contains("order of merges"))
  }

  @Test(arguments: ["deepseek", "o200k", "bert", "added"])
  func `a tokenizer that GGUF has no name for is refused`(name: String) throws {
    let path = try tiny(tokenizer: name)
    let error = #expect(throws: StorageError.self) { try export(path) }
    #expect("\(String(describing: error))".contains("gguf M-5"))
    #expect(!FileManager.default.fileExists(atPath: workspace("model.gguf")))
  }

  @Test func `what would compute something else is refused`() throws {
    for (family, what) in [
      ("gemma3", "√10.0"), ("qwen2-window", "sliding window"),
    ] {
      let error = #expect(throws: StorageError.self) { try export(golden("families/" + family)) }
      guard case .notRepresentable(let found, "GGUF") = error?.reason else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(found.contains(what))
    }
    #expect(throws: StorageError.self) { try export(golden("lora/llama-tied")) }
    #expect(try workspace.names(in: workspace("")).isEmpty)
  }

  @Test func `files without a place need the flag, and are named`() throws {
    let error = #expect(throws: StorageError.self) {
      try export(fixture("model"), allowsLoss: false)
    }
    #expect(error?.reason == .notRepresentable(what: "training_log.txt", inFormat: "GGUF"))
    #expect(try workspace.names(in: workspace("")).isEmpty)
  }

  /// A model whose configuration has members that the golden one hasn't, written before the others.
  private func model(_ family: String, with members: String) throws -> String {
    let path = try model(family)
    let file = URL(filePath: path + "/config.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try "{\(members),\(text.dropFirst())".write(to: file, atomically: true, encoding: .utf8)
    return path
  }

  @Test(arguments: [
    (#""residual_multiplier": 0.22"#, ["residual_multiplier of config.json"]),
    (
      #""no_rope_layers": [1, 0], "partial_rotary_factor": 0.5"#,
      ["no_rope_layers of config.json", "partial_rotary_factor of config.json"]
    ),
    (
      #""factor": 2, "query_pre_attn_scalar": 12, "n_embd": 32"#,
      [
        "factor of config.json", "query_pre_attn_scalar of config.json", "n_embd of config.json",
      ]
    ),
    (#""rope_scaling": {"hidden_size": 32}"#, ["rope_scaling.hidden_size of config.json"]),
    (#""text_config": {"hidden_size": 32}"#, ["text_config of config.json"]),
    (#""no_repeat_ngram_size": 3"#, ["no_repeat_ngram_size of config.json"]),
    (#""auto_map": {"AutoModel": "m.M"}"#, ["auto_map of config.json"]),
    (
      #""rope_scaling": {"rope_type": "default", "mscale": 2}"#,
      ["rope_scaling.mscale of config.json"]
    ),
    (#""add_cross_attention": true"#, ["add_cross_attention of config.json"]),
  ])
  func `a key of the configuration that GGUF can't hold needs the flag, and is named`(
    members: String, losses: [String]
  ) throws {
    let path = try model("llama-tied", with: members)
    let error = #expect(throws: StorageError.self) { try export(path, allowsLoss: false) }
    #expect(
      error?.reason
        == .notRepresentable(
          what: losses.joined(separator: ", "), inFormat: "GGUF"))
    #expect(try workspace.names(in: workspace.path) == ["llama-tied"])
    let names = try export(path).losses.map(\.what)
    #expect(names == losses)
  }

  @Test(arguments: [
    "llama-bf16", "llama-llama3-rope", "llama-untied-linear-rope", "mistral", "mistral-window",
    "qwen2", "qwen3", "gemma3", "gpt2",
  ])
  func `what every model's configuration has needs no flag`(family: String) throws {
    let more = #""_name_or_path": "a/b", "partial_rotary_factor": 1.0, "rope_interleaved": false"#
    let path = try model(family, with: more + #", "quantization_config": null"#)
    let report = try export(path, allowsLoss: false)
    #expect(report.losses.isEmpty)
    let notes = report.notes.map(\.what)
    #expect(
      notes.dropFirst() == [
        "bookkeeping of generation_config.json: _from_model_config, output_attentions, output_hidden_states, transformers_version, use_cache"
      ])
    let note = try #require(notes.first)
    #expect(note.hasPrefix("bookkeeping of config.json: _name_or_path, "))
    #expect(note.hasSuffix("transformers_version, use_cache"))
    #expect(!note.contains("rope") && !note.contains("partial"))
  }

  @Test(arguments: [
    ("generation_config.json", #""no_repeat_ngram_size": 3"#, "no_repeat_ngram_size"),
    ("generation_config.json", #""suppress_tokens": [3]"#, "suppress_tokens"),
    ("generation_config.json", #""forced_eos_token_id": 2"#, "forced_eos_token_id"),
    ("generation_config.json", #""num_beams": 4"#, "num_beams"),
    ("tokenizer_config.json", #""split_special_tokens": true"#, "split_special_tokens"),
    ("tokenizer_config.json", #""auto_map": {"AutoTokenizer": "m.T"}"#, "auto_map"),
    ("special_tokens_map.json", #""rule": "none""#, "rule"),
  ])
  func `what another file says of generation or tokens needs the flag, and is named`(
    file: String, member: String, key: String
  ) throws {
    let path = try tiny(tokenizer: "gpt2")
    try "{\(member)}".write(toFile: path + "/" + file, atomically: true, encoding: .utf8)
    let error = try #require(throws: StorageError.self) { try export(path, allowsLoss: false) }
    #expect(error.reason == .notRepresentable(what: "\(key) of \(file)", inFormat: "GGUF"))
    #expect(try export(path).losses.map(\.what) == ["\(key) of \(file)"])
  }

  @Test func `ordinary files beside a model need no flag`() throws {
    let path = try tiny(tokenizer: "gpt2")
    for (name, text) in [
      (
        "generation_config.json",
        #"""
        {"_from_model_config": true, "bos_token_id": 1, "do_sample": true, "eos_token_id": [2, 1],
         "max_new_tokens": 2048, "num_beams": 1, "pad_token_id": null, "repetition_penalty": 1.05,
         "temperature": 0.7, "top_k": 20, "top_p": 0.8, "transformers_version": "4.42.3"}
        """#
      ),
      (
        "tokenizer_config.json",
        #"""
        {"add_bos_token": false, "add_prefix_space": false,
         "added_tokens_decoder": {"0": {"content": "<|start|>", "special": true}},
         "additional_special_tokens": ["<|start|>"], "bos_token": "<|start|>",
         "clean_up_tokenization_spaces": false, "eos_token": "<|endoftext|>",
         "extra_special_tokens": {}, "image_token": "<|end|>", "legacy": true,
         "model_max_length": 8192, "pad_token": null, "padding_side": "left",
         "split_special_tokens": false, "tokenizer_class": "GPT2Tokenizer"}
        """#
      ),
      ("special_tokens_map.json", ##"{"unk_token": {"content": "<|end|>", "lstrip": false}}"##),
    ] {
      try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
    }
    let report = try export(path, allowsLoss: false)
    #expect(report.losses.isEmpty)
    #expect(
      report.notes.map(\.what) == [
        "bookkeeping of generation_config.json: _from_model_config, do_sample, max_new_tokens, transformers_version",
        "bookkeeping of tokenizer_config.json: additional_special_tokens, image_token, legacy, model_max_length, padding_side, tokenizer_class",
      ])
    let file = try GGUFReader(path: workspace("model.gguf"))
    #expect(file["general.sampling.top_k"] == .signed(20, bits: 32))
    #expect(file["tokenizer.ggml.bos_token_id"] == .unsigned(0, bits: 32))
    #expect(file["tokenizer.ggml.unknown_token_id"] == .unsigned(1, bits: 32))
  }

  @Test func `a tensor that the configuration asks for and the model lacks is bad input`() throws {
    let path = try model("llama-tied")
    let file = URL(filePath: path + "/config.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try text.replacing(#""num_hidden_layers": 2"#, with: #""num_hidden_layers": 3"#)
      .write(to: file, atomically: true, encoding: .utf8)
    let error = try #require(throws: StorageError.self) { try export(path) }
    #expect(error.tensor == "model.layers.2.input_layernorm.weight")
    #expect(error.diagnosis.kind == .badInput)
    #expect(error.diagnosis.location?.hasSuffix("expected the tensor, found none") == true)
  }

  /// A file of GGUF with the tensors of another checkpoint.
  private func write(
    _ source: any CheckpointReader, _ entries: [(key: String, value: GGUFValue)], to name: String
  ) throws -> OpenedCheckpoint {
    let file = try AtomicFile(path: workspace(name))
    let writer = try GGUFWriter(source.tensors, entries: entries, to: file.output)
    for (index, tensor) in source.tensors.enumerated() {
      try writer.write(source.bytes(tensor.name), of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try OpenedCheckpoint(path: workspace(name))
  }

  @Test func `tensors without an architecture are called what they are, and replace no model`()
    throws
  {
    let source = golden("families/llama-tied/model.safetensors")
    let bare = try write(
      SafetensorsReader(path: source), [("general.name", .string("n"))], to: "bare.gguf")
    #expect(try inspect(bare).kind == .tensors)
    #expect(try inspect(bare).architecture == nil)
    #expect(try verify(bare.path).defects == [])
    let model = try write(
      SafetensorsReader(path: source), [("general.architecture", .string("mine"))],
      to: "model.gguf")
    #expect(try inspect(model).kind == .model)
    let error = try #require(throws: StorageError.self) { try convert(bare, to: model.path) }
    #expect(error.reason == .alreadyExists)
    #expect(error.remedy?.contains("a model in gguf") == true)
    #expect(try inspect(OpenedCheckpoint(path: model.path)).kind == .model)
    // The same again, and the other way round, is nothing lost.
    _ = try convert(bare, to: workspace("again.gguf"))
    _ = try convert(bare, to: workspace("again.gguf"))
    _ = try convert(model, to: workspace("again.gguf"))
    #expect(try inspect(OpenedCheckpoint(path: workspace("again.gguf"))).kind == .model)
  }

  @Test func `an architecture without a directory needs the flag, and its keys are named`() throws {
    let tensors = try SafetensorsReader(path: golden("lora/llama-tied/adapter_model.safetensors"))
    let source = try write(
      tensors,
      [
        ("general.architecture", .string("mine")), ("general.name", .string("n")),
        ("general.tags", .array(.strings(["a", "b"]))),
        ("general.sizes", .array(.float32([1, 2]))), ("general.alignment", .unsigned(32, bits: 32)),
        ("mine.width", .unsigned(7, bits: 32)), ("tokenizer.ggml.tokens", .array(.strings(["a"]))),
      ], to: "mine.gguf")
    let losses = [
      "the architecture mine", "the metadata general.sizes", "the metadata mine.width",
      "the metadata tokenizer.ggml.tokens",
    ]
    for (target, form) in [
      ("back.safetensors", "one safetensors file"), ("back", "a model directory"),
    ] {
      let error = try #require(throws: StorageError.self) {
        try convert(source, to: workspace(target))
      }
      #expect(
        error.reason == .notRepresentable(what: losses.joined(separator: ", "), inFormat: form))
      #expect(error.remedy?.contains("--allow-loss") == true)
      var options = ConversionOptions()
      options.allowsLoss = true
      let report = try convert(source, to: workspace(target), options: options)
      #expect(report.losses.map(\.what) == losses)
      let back = try OpenedCheckpoint(path: workspace(target)).reader
      #expect(Set(back.metadata.map(\.key)) == ["general.name", "general.tags"])
      #expect(Set(back.tensors.map(\.name)) == Set(tensors.tensors.map(\.name)))
      for tensor in tensors.tensors {
        #expect(try back.bytes(tensor.name) == tensors.bytes(tensor.name), "\(tensor.name)")
      }
    }
  }

  @Test func `an adapter in GGUF keeps its own names`() throws {
    let source = try OpenedCheckpoint(path: golden("layouts/adapter.gguf"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: workspace("adapter.safetensors"), options: options)
    #expect(report.losses.first?.what == "the architecture llama")
    let back = try OpenedCheckpoint(path: workspace("adapter.safetensors"))
    #expect(back.reader.tensors.count == 8)
    #expect(try diff(source, back).isWithinTolerance)
    for tensor in source.reader.tensors {
      #expect(try back.reader.bytes(tensor.name) == source.reader.bytes(tensor.name))
    }
  }

  @Test func `a tensor that the architecture doesn't have needs the flag, and is named`() throws {
    let model = try GGUFReader(path: golden("gguf/qwen2.gguf"))
    let file = try AtomicFile(path: workspace("extra.gguf"))
    let extra = try TensorInfo(name: "blk.0.extra.weight", dtype: .f32, shape: [2])
    let writer = try GGUFWriter(
      model.tensors + [extra], entries: model.entries.filter { $0.key != "general.alignment" },
      to: file.output)
    for (index, tensor) in model.tensors.enumerated() {
      try writer.write(model.bytes(tensor.name), of: index, at: 0)
    }
    try writer.write([1, 2] as [Float], of: model.tensors.count, at: 0)
    try writer.finish()
    try file.commit()
    let source = try OpenedCheckpoint(path: workspace("extra.gguf"))
    let error = try #require(throws: StorageError.self) {
      try convert(source, to: workspace("back"))
    }
    let loss = "the tensor blk.0.extra.weight"
    #expect(error.reason == .notRepresentable(what: loss, inFormat: "a model directory"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: workspace("back"), options: options)
    #expect(report.losses.map(\.what) == [loss])
    let back = try OpenedCheckpoint(path: workspace("back")).reader
    #expect(back.tensors.count == model.tensors.count)
    #expect(try verify(workspace("back")).isSound)
  }

  @Test func `a key that a model's directory has no place for needs the flag`() throws {
    let source = try qwen2(with: [("other.key", .bool(true))])
    let error = try #require(throws: StorageError.self) {
      try convert(source, to: workspace("back"))
    }
    #expect(
      error.reason
        == .notRepresentable(what: "the metadata other.key", inFormat: "a model directory"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let losses = try convert(source, to: workspace("back"), options: options).losses
    #expect(losses.map(\.what) == ["the metadata other.key"])
  }

  /// The golden model with more keys.
  private func qwen2(with entries: [(key: String, value: GGUFValue)]) throws -> OpenedCheckpoint {
    let model = try GGUFReader(path: golden("gguf/qwen2.gguf"))
    let own = model.entries.filter { $0.key != "general.alignment" }
    return try write(model, own + entries, to: "more.gguf")
  }

  @Test(
    arguments: [
      ("qwen2.logit_scale", .float32(0.5)), ("qwen2.residual_scale", .float32(0.22)),
      ("qwen2.embedding_scale", .float32(12)), ("qwen2.attention.scale", .float32(0.3)),
      ("qwen2.attention.causal", .bool(false)), ("qwen2.pooling_type", .unsigned(1, bits: 32)),
      ("qwen2.attention.sliding_window", .unsigned(64, bits: 32)),
      ("qwen2.rope.scaling.factor", .float32(4)),
      ("tokenizer.ggml.precompiled_charsmap", .array(.unsigned([1, 2], bits: 8))),
      ("tokenizer.ggml.escape_whitespaces", .bool(false)),
    ] as [(String, GGUFValue)])
  func `a key that may change what is computed needs the flag, and is named`(
    key: String, value: GGUFValue
  ) throws {
    let source = try qwen2(with: [(key, value)])
    let loss = "\(key) of the GGUF file"
    let error = try #require(throws: StorageError.self) {
      try convert(source, to: workspace("back"))
    }
    #expect(error.reason == .notRepresentable(what: loss, inFormat: "a model directory"))
    #expect(!FileManager.default.fileExists(atPath: workspace("back")))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: workspace("back"), options: options)
    #expect(report.losses.map(\.what) == [loss])
    #expect(report.notes.isEmpty)
  }

  @Test func `what llama.cpp's converter and quantizer write needs no flag`() throws {
    let source = try qwen2(with: [
      ("general.type", .string("model")), ("general.basename", .string("qwen")),
      ("general.finetune", .string("instruct")), ("general.size_label", .string("1B")),
      ("general.license", .string("apache-2.0")), ("general.tags", .array(.strings(["chat"]))),
      ("general.base_model.count", .unsigned(1, bits: 32)),
      ("general.base_model.0.name", .string("Qwen")), ("general.quantized_by", .string("me")),
      ("general.file_type", .unsigned(0, bits: 32)),
      ("general.quantization_version", .unsigned(2, bits: 32)),
      ("qwen2.vocab_size", .unsigned(64, bits: 32)), ("qwen2.pooling_type", .unsigned(0, bits: 32)),
      ("qwen2.rope.scaling.type", .string("none")), ("qwen2.rope.scaling.factor", .float32(4)),
      ("qwen2.attention.causal", .bool(true)), ("qwen2.logit_scale", .float32(1)),
      ("qwen2.attention.scale", .float32(Float(1 / 8.0.squareRoot()))),
      ("tokenizer.ggml.add_bos_token", .bool(false)),
      ("tokenizer.ggml.add_eos_token", .bool(false)),
      ("tokenizer.ggml.add_sep_token", .bool(false)),
      ("tokenizer.ggml.add_space_prefix", .bool(false)),
      ("tokenizer.ggml.unknown_token_id", .unsigned(0, bits: 32)),
      ("tokenizer.ggml.padding_token_id", .unsigned(2, bits: 32)),
      ("tokenizer.ggml.eot_token_id", .unsigned(3, bits: 32)),
      ("tokenizer.ggml.eom_token_id", .unsigned(4, bits: 32)),
      ("tokenizer.ggml.seperator_token_id", .unsigned(5, bits: 32)),
      ("tokenizer.ggml.fim_pre_token_id", .unsigned(6, bits: 32)),
      ("tokenizer.chat_template", .string("{{ messages }}")),
      ("quantize.imatrix.file", .string("i.dat")),
      ("quantize.imatrix.entries_count", .signed(9, bits: 32)),
      ("qwen2.rope.scaling.finetuned", .bool(true)),
      ("qwen2.tensor_data_layout", .string("reference")),
    ])
    let report = try convert(source, to: workspace("back"))
    #expect(report.losses.isEmpty)
    #expect(
      report.notes.map(\.what) == [
        "bookkeeping of the GGUF file: tokenizer.ggml.fim_pre_token_id, qwen2.tensor_data_layout"
      ])
    let back = try OpenedCheckpoint(path: workspace("back"))
    #expect(try json(back, "generation_config.json")["eos_token_id"] == [2, 3, 4])
    let map = try json(back, "special_tokens_map.json")
    #expect(map["sep_token"] != nil && map["mask_token"] == nil)
  }

  @Test func `named chat templates, marks and ends of generation come back`() throws {
    let path = try tiny(tokenizer: "gpt2")
    let templates: JSONValue = [
      ["name": "default", "template": "{{ messages }}"],
      ["name": "tool_use", "template": "{{ tools }}"],
    ]
    let settings: JSONValue = ["chat_template": templates, "mask_token": "a"]
    try settings.serialized().write(
      toFile: path + "/tokenizer_config.json", atomically: true, encoding: .utf8)
    try #"{"eos_token_id": [7, 5, 6]}"#.write(
      toFile: path + "/generation_config.json", atomically: true, encoding: .utf8)
    #expect(try export(path, allowsLoss: false).losses.isEmpty)
    let file = try GGUFReader(path: workspace("model.gguf"))
    #expect(file["tokenizer.chat_templates"] == .array(.strings(["tool_use"])))
    #expect(file["tokenizer.ggml.eom_token_id"] == .unsigned(6, bits: 32))
    let report = try convert(
      OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"))
    #expect(report.losses.isEmpty)
    let back = try OpenedCheckpoint(path: workspace("back"))
    let again = try json(back, "tokenizer_config.json")
    #expect(again["chat_template"] == templates)
    #expect(again["mask_token"] == "a")
    #expect(try json(back, "generation_config.json")["eos_token_id"] == [7, 5, 6])

    // There are keys for three ends.
    try #"{"eos_token_id": [7, 5, 6, 4]}"#.write(
      toFile: path + "/generation_config.json", atomically: true, encoding: .utf8)
    let error = try #require(throws: StorageError.self) { try export(path, allowsLoss: false) }
    #expect(
      error.reason
        == .notRepresentable(
          what: "eos_token_id 4 of generation_config.json", inFormat: "GGUF"))
  }

  @Test func `chat templates in files of their own are kept, and come back as a list`() throws {
    let path = try tiny(tokenizer: "gpt2")
    let settings: JSONValue = [
      "chat_template": [
        ["name": "default", "template": "old"], ["name": "rag", "template": "{{ old }}"],
        ["name": "tool_use", "template": "{{ config }}"],
      ]
    ]
    try Directory.create("additional_chat_templates/more", below: path)
    for (name, text) in [
      ("tokenizer_config.json", settings.serialized()),
      ("chat_template.jinja", "{{ messages }}"),
      ("additional_chat_templates/tool_use.jinja", "{{ tools }}"),
      ("additional_chat_templates/é.jinja", "{{ é }}"),
    ] {
      try AtomicFile.write(Array(text.utf8), to: path + "/" + name)
    }
    #expect(try export(path, allowsLoss: false).losses.isEmpty)
    let file = try GGUFReader(path: workspace("model.gguf"))
    #expect(file["tokenizer.chat_template"] == .string("{{ messages }}"))
    #expect(file["tokenizer.chat_templates"] == .array(.strings(["tool_use", "é", "rag"])))
    #expect(file["tokenizer.chat_template.tool_use"] == .string("{{ tools }}"))
    let report = try convert(
      OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"))
    #expect(report.losses.isEmpty)
    let back = try OpenedCheckpoint(path: workspace("back"))
    let templates: JSONValue = [
      ["name": "default", "template": "{{ messages }}"],
      ["name": "tool_use", "template": "{{ tools }}"], ["name": "é", "template": "{{ é }}"],
      ["name": "rag", "template": "{{ old }}"],
    ]
    #expect(try json(back, "tokenizer_config.json")["chat_template"] == templates)

    // Nobody looks for templates further below, and bytes that are no text are none.
    let folder = path + "/additional_chat_templates/"
    try AtomicFile.write(Array("x".utf8), to: folder + "more/deep.jinja")
    #expect(
      try export(path).losses.map(\.what) == ["additional_chat_templates/more/deep.jinja"])
    try AtomicFile.write([0xFF], to: folder + "broken.jinja")
    let error = try #require(throws: StorageError.self) { try export(path) }
    #expect(error.file == folder + "broken.jinja")
    #expect(error.diagnosis.kind == .badInput)
  }

  /// Keys of many letters, and of one with as many marks, which is a single character.
  @Test(arguments: [
    String(repeating: "k", count: 65_530), "e" + String(repeating: "\u{301}", count: 40_000),
  ])
  func `metadata that no key of GGUF can be made of needs the flag`(key: String) throws {
    let file = try AtomicFile(path: workspace("long.safetensors"))
    let writer = try SafetensorsWriter(
      [TensorInfo(name: "w", dtype: .i8, shape: [1])],
      metadata: [MetadataEntry(key: key, value: "v"), MetadataEntry(key: "short", value: "s")],
      to: file.output)
    try writer.write([1] as [UInt8], of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let source = workspace("long.safetensors")
    let what = "the metadata \(String(key.unicodeScalars.prefix(80)))…"
    #expect(throws: StorageError.self) {
      try convert(OpenedCheckpoint(path: source), to: workspace("long.gguf"))
    }
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: source), to: workspace("long.gguf"), options: options)
    #expect(report.losses.map(\.what) == [what])
    let written = try GGUFReader(path: workspace("long.gguf"))
    #expect(written["graft.metadata.short"] == .string("s"))
  }

  @Test(arguments: GGUFMixture.allCases)
  func `every mixture is written, the same whatever the threads`(mixture: GGUFMixture) throws {
    let report = try export(fixture("model"), mixture)
    let bytes = try Data(contentsOf: URL(filePath: workspace("model.gguf")))
    for threads in [1, 3] {
      _ = try export(fixture("model"), to: "again.gguf", mixture, threads: threads)
      #expect(try Data(contentsOf: URL(filePath: workspace("again.gguf"))) == bytes)
    }
    let file = try GGUFReader(path: workspace("model.gguf"))
    #expect(file.tensors == report.tensors)
    let value = try #require(file["general.file_type"]?.int)
    #expect(
      value
        == Int(
          [
            .f32: 0, .f16: 1, .bf16: 32, .q8_0: 7, .q4_0: 2, .q4_1: 3, .q5_0: 8, .q5_1: 9,
            .q4_k_s: 14,
            .q4_k_m: 15, .q5_k_s: 16, .q5_k_m: 17, .q6_k: 18,
          ][mixture] ?? -1))
    // The values are near those of the model.
    _ = try convert(
      OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("back"),
      options: ConversionOptions(dtype: .f32))
    let limit: Double =
      switch mixture {
      case .f32, .bf16: 0
      case .f16: 1e-3
      case .q8_0: 0.01
      case .q6_k: 0.03
      case .q5_0, .q5_1, .q5_k_s, .q5_k_m: 0.06
      case .q4_0, .q4_1, .q4_k_s, .q4_k_m: 0.12
      }
    let comparison = try diff(
      OpenedCheckpoint(path: fixture("model")), OpenedCheckpoint(path: workspace("back")))
    #expect(comparison.tensors.count == 56)
    for tensor in comparison.tensors {
      #expect((tensor.values?.relativeError ?? 1) <= limit, "\(tensor.first.name)")
    }
  }

  @Test func `a GGUF file changes its types and keeps the rest`() throws {
    _ = try export(fixture("model"))
    let before = try GGUFReader(path: workspace("model.gguf"))
    let options = ConversionOptions(form: .gguf(.q8_0))
    _ = try convert(
      OpenedCheckpoint(path: workspace("model.gguf")), to: workspace("small.gguf"), options: options
    )
    let direct = try export(fixture("model"), to: "direct.gguf", .q8_0)
    let (small, other) = (
      try Data(contentsOf: URL(filePath: workspace("small.gguf"))),
      try Data(contentsOf: URL(filePath: workspace("direct.gguf")))
    )
    #expect(small == other)
    #expect(direct.convertedCount > 40)
    #expect(before["general.file_type"] == .unsigned(32, bits: 32))
    // A copy is the same to the last byte.
    _ = try convert(
      OpenedCheckpoint(path: workspace("small.gguf")), to: workspace("copy.gguf"),
      options: ConversionOptions(form: .gguf()))
    #expect(try Data(contentsOf: URL(filePath: workspace("copy.gguf"))) == small)
  }

  @Test(arguments: [GGUFMixture.q4_1, .q8_0])
  func `what rounding takes of a quantized file is named where dtypes are kept`(
    mixture: GGUFMixture
  ) throws {
    _ = try export(fixture("model"), mixture)
    let source = try OpenedCheckpoint(path: workspace("model.gguf"))
    let types = Set(source.reader.tensors.map { "\($0.dtype)" }).sorted().joined(separator: ", ")
    #expect(types.contains("\(mixture.dtype)"))
    for target in ["kept", "kept.h5"] {
      let report = try convert(source, to: workspace(target))
      #expect(report.losses.isEmpty)
      #expect(
        report.notes.map(\.what) == [
          "what rounding to BF16 takes of 56 tensors of \(types); --dtype f32 keeps it"
        ])
    }
    for dtype in [DType.f32, .bf16] {
      let report = try convert(
        source, to: workspace("\(dtype)"), options: ConversionOptions(dtype: dtype))
      #expect(report.notes.isEmpty)
    }
    #expect(try convert(source, to: workspace("copy.gguf")).notes.isEmpty)
  }

  @Test func `split files hold the same, and are never replaced`() throws {
    _ = try export(fixture("model"), to: "one.gguf", .q8_0)
    let report = try export(fixture("model"), to: "many.gguf", .q8_0, limit: 300_000)
    #expect(report.fileNames.count > 3)
    #expect(
      report.fileNames == (try workspace.names(in: workspace(""))).filter { $0.hasPrefix("many-") })
    let one = try GGUFReader(path: workspace("one.gguf"))
    let many = try GGUFReader(path: workspace(report.fileNames[1]))
    #expect(one.tensors == many.tensors)
    for tensor in one.tensors {
      #expect(try one.bytes(tensor.name) == many.bytes(tensor.name))
    }
    let error = #expect(throws: StorageError.self) {
      try export(fixture("model"), to: "many.gguf", .q8_0, limit: 300_000)
    }
    #expect(error?.reason == .alreadyExists)
    // Split files become one again.
    _ = try convert(
      OpenedCheckpoint(path: workspace(report.fileNames[2])), to: workspace("joined.gguf"),
      options: ConversionOptions(form: .gguf()))
    let same =
      try Data(contentsOf: URL(filePath: workspace("joined.gguf")))
      == Data(contentsOf: URL(filePath: workspace("one.gguf")))
    #expect(same)
  }

  @Test func `split files without the first are what a killed process left`() throws {
    let report = try export(fixture("model"), to: "many.gguf", .q8_0, limit: 300_000)
    let paths = report.fileNames.map { URL(filePath: workspace($0)) }
    let contents = try paths.map { try Data(contentsOf: $0) }
    try FileManager.default.removeItem(at: paths[0])
    try contents[1].prefix(100).write(to: paths[2])
    _ = try export(fixture("model"), to: "many.gguf", .q8_0, limit: 300_000)
    #expect(try paths.map { try Data(contentsOf: $0) } == contents)
    // Nothing but a GGUF file is taken for such a remainder.
    try FileManager.default.removeItem(at: paths[0])
    try Data("notes".utf8).write(to: paths[2])
    let error = #expect(throws: StorageError.self) {
      try export(fixture("model"), to: "many.gguf", .q8_0, limit: 300_000)
    }
    #expect(error?.reason == .alreadyExists)
    #expect(error?.file == paths[2].path)
    #expect(try Data(contentsOf: paths[2]) == Data("notes".utf8))
  }

  @Test func `NaN is no weight that a block could hold`() throws {
    let path = try workspace.copy(golden("families/llama-head-dim"), to: "nan")
    let reader = try SafetensorsReader(path: path + "/model.safetensors")
    let index = try #require(reader.index(of: "model.layers.1.mlp.up_proj.weight"))
    let start = try #require(reader.extent(of: index)).range.lowerBound
    var bytes = try Data(contentsOf: URL(filePath: path + "/model.safetensors"))
    bytes.replaceSubrange(start + 400..<start + 404, with: [0, 0, 0xC0, 0x7F])
    try bytes.write(to: URL(filePath: path + "/model.safetensors"))
    let error = #expect(throws: StorageError.self) { try export(path, .q8_0) }
    #expect(error?.tensor == "blk.1.ffn_up.weight")
    #expect(
      error?.reason == .notRepresentable(what: "the value nan of element 100", inFormat: "Q8_0"))
    #expect(error?.remedy?.contains("--dtype bf16") == true)
    #expect(!FileManager.default.fileExists(atPath: workspace("model.gguf")))
  }

  /// A model of one small layer with a golden tokenizer.
  private func tiny(tokenizer: String) throws -> String {
    let path = workspace("tiny-" + tokenizer)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: golden("tokenizers/\(tokenizer).json"), toPath: path + "/tokenizer.json")
    let json = try JSONValue.parse(
      Array(Data(contentsOf: URL(filePath: path + "/tokenizer.json"))), file: "tokenizer.json")
    let ids =
      (json["model"]?["vocab"]?.object?.members ?? []).compactMap(\.value.int)
      + (json["added_tokens"]?.array ?? []).compactMap { $0["id"]?.int }
    // A row more than there are tokens, as models have that round their tables up.
    let rows = (ids.max() ?? 0) + 2
    let config: JSONValue = [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
      "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
      "vocab_size": JSONValue(rows), "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
    ]
    try config.serialized().write(
      toFile: path + "/config.json", atomically: true, encoding: .utf8)
    var tensors = [
      try TensorInfo(name: "model.embed_tokens.weight", dtype: .f16, shape: [rows, 8]),
      try TensorInfo(name: "model.norm.weight", dtype: .f16, shape: [8]),
    ]
    for name in ["input_layernorm", "post_attention_layernorm"] {
      tensors.append(
        try TensorInfo(
          name: TensorName("model.layers.0.\(name).weight"), dtype: .f16, shape: [8]))
    }
    for name in [
      "self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down",
    ] {
      tensors.append(
        try TensorInfo(
          name: TensorName("model.layers.0.\(name)_proj.weight"), dtype: .f16, shape: [8, 8]))
    }
    let file = try AtomicFile(path: path + "/model.safetensors")
    let writer = try SafetensorsWriter(tensors, metadata: [], to: file.output)
    for (index, tensor) in writer.tensors.enumerated() {
      try writer.write([UInt8](repeating: 0, count: tensor.byteCount), of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return path
  }
}
